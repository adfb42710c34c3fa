//! Characters that people do not see.

/// Returns whether a character shows nothing, or changes the direction or the line of the text around it: Unicode's
/// `Default_Ignorable_Code_Point`, its controls of direction, and its line and paragraph separators. Joiners are among them:
/// names of companies and people do without.
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Returns whether a character only divides a number into groups: a hyphen or a dash, or a space of any width.
pub fn is_separator(c: char) -> bool {
    c.is_whitespace() && !c.is_control() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}') || is_invisible(c)
}
