//! Layout of tables in a terminal: cells are wrapped, never truncated.

/// Number of spaces between columns.
pub(super) const GAP: usize = 2;

/// Minimum width of columns; a table that would need narrower ones has a line for each value instead.
const NARROWEST: usize = 8;

/// The layout of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Columns with these widths.
    Columns(Vec<usize>),
    /// One line for each value.
    Records,
}

/// Returns the layout of these lines of cells for a maximum width. Wide columns are narrowed first.
pub(super) fn layout(lines: &[Vec<String>], width: Option<usize>) -> Layout {
    let columns = lines.first().map_or(0, Vec::len);
    let widest = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let gaps = GAP * columns.saturating_sub(1);
    let Some(width) = width else { return Layout::Columns(widths) };
    let total = |cap: usize| gaps + widths.iter().map(|width| (*width).min(cap)).sum::<usize>();
    if total(usize::MAX) <= width {
        return Layout::Columns(widths);
    }
    match (NARROWEST..width).rev().find(|cap| total(*cap) <= width) {
        Some(cap) => {
            // The remaining width goes to the columns that need more, starting with the last, which usually holds the
            // text.
            let mut rest = width - total(cap);
            let mut fitted: Vec<usize> = widths.iter().map(|width| (*width).min(cap)).collect();
            for (fitted, needed) in fitted.iter_mut().zip(&widths).rev() {
                let more = (needed - *fitted).min(rest);
                *fitted += more;
                rest -= more;
            }
            Layout::Columns(fitted)
        }
        None => Layout::Records,
    }
}

/// Wraps a cell: at spaces, else after punctuation or before the time of day, else anywhere.
pub(super) fn wrapped(cell: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest: Vec<char> = cell.chars().collect();
    while rest.len() > width {
        let end = break_before(&rest, width);
        let line: String = rest.drain(..end).collect();
        lines.push(line.trim_end().to_owned());
        let blanks = rest.iter().take_while(|c| **c == ' ').count();
        rest.drain(..blanks);
    }
    lines.push(rest.into_iter().collect());
    lines
}

/// Returns the position at which to break, which is at most `width` and more than 0.
fn break_before(text: &[char], width: usize) -> usize {
    let is_time = |at: usize| text[at] == 'T' && at >= 10 && text[at - 1].is_ascii_digit() && text[at - 3] == '-';
    let places = || (1..=width).rev();
    let at_blank = places().find(|at| text[*at] == ' ');
    // Breaking at a space in the first half would waste more width than splitting a word is worth avoiding.
    let at_blank = at_blank.filter(|at| *at * 2 >= width);
    let at_mark =
        || places().find(|at| is_time(*at) || matches!(text[at - 1], '-' | '.' | '/' | ',' | ':' | '_' | '@'));
    at_blank.or_else(at_mark).or_else(|| places().find(|at| text[*at] == ' ')).unwrap_or(width.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_breaks_cells_at_natural_positions() {
        for (cell, width, lines) in [
            ("short", 8, &["short"][..]),
            ("", 8, &[""]),
            ("port 51820 is taken", 10, &["port 51820", "is taken"]),
            ("vpn-1.example.ch", 10, &["vpn-1.", "example.ch"]),
            ("2026-11-25T03:17:00Z", 12, &["2026-11-25", "T03:17:00Z"]),
            ("abcdefghij", 4, &["abcd", "efgh", "ij"]),
            ("a  b", 3, &["a", "b"]),
        ] {
            assert_eq!(wrapped(cell, width), lines, "{cell:?}");
        }
    }

    #[test]
    fn layout_without_room_narrows_wide_columns_first() {
        let lines = |widths: &[usize]| vec![widths.iter().map(|width| "x".repeat(*width)).collect::<Vec<_>>()];
        for (widths, width, expected) in [
            (&[4, 10, 40][..], None, Layout::Columns(vec![4, 10, 40])),
            (&[4, 10, 40], Some(58), Layout::Columns(vec![4, 10, 40])),
            (&[4, 10, 40], Some(57), Layout::Columns(vec![4, 10, 39])),
            (&[4, 30, 30], Some(49), Layout::Columns(vec![4, 20, 21])),
            (&[4, 30, 30], Some(24), Layout::Columns(vec![4, 8, 8])),
            (&[4, 30, 30], Some(23), Layout::Records),
        ] {
            assert_eq!(layout(&lines(widths), width), expected, "{widths:?} {width:?}");
        }
    }
}
