//! Files of NAME=value lines, read as systemd reads an `EnvironmentFile=`. Lines that systemd would silently skip or
//! misread are errors here, reported with their line number.

use std::{collections::BTreeMap, iter::Peekable, path::Path, str::Chars};

use anyhow::Context as _;

use super::{exit::Failure, secret_file::BYTE_ORDER_MARK};

/// The settings of a file, by their names.
pub(super) type Settings = BTreeMap<String, String>;

/// An error, with its line.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    line: usize,
    what: String,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> anyhow::Result<Settings> {
    let file = path.display();
    let bytes = std::fs::read(path).with_context(|| Failure::usage(format!("can't read the configuration {file}")))?;
    let settings = parse(&bytes);
    settings.map_err(|Fault { line, what }| Failure::usage(format!("line {line} of {file} {what}")).into())
}

fn parse(bytes: &[u8]) -> Result<Settings, Fault> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(fault(1, "starts with a byte order mark: save the file as UTF-8 without one"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        fault(before.split(|byte| *byte == b'\n').count(), "is not UTF-8 text")
    })?;
    let mut reader = Reader { rest: text.chars().peekable(), line: 1 };
    let mut settings = Settings::new();
    while let Some(name) = reader.name()? {
        let value = reader.value()?;
        settings.insert(name, value); // the last one wins
    }
    Ok(settings)
}

fn fault(line: usize, what: impl Into<String>) -> Fault {
    Fault { line, what: what.into() }
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

const fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

/// A position in a file.
struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        while self.rest.peek().is_some_and(|c| skipped(*c)) {
            self.next();
        }
    }

    /// Returns the next name, after blank lines and comments; none at the end of the file. Consumes the equals sign,
    /// too.
    fn name(&mut self) -> Result<Option<String>, Fault> {
        loop {
            self.skip(|c| is_blank(c) || is_line_end(c));
            match self.rest.peek() {
                None => return Ok(None),
                Some('#' | ';') => self.comment()?,
                Some(_) => break,
            }
        }
        let mut text = String::new();
        while let Some(c) = self.rest.next_if(|c| *c != '=' && !is_line_end(*c)) {
            text.push(c);
        }
        if self.rest.next_if_eq(&'=').is_none() {
            return Err(fault(self.line, "has no `=`: write NAME=value, or # before a comment"));
        }
        // For files that a shell reads as well.
        let name = text.strip_prefix("export").filter(|rest| rest.starts_with(is_blank)).unwrap_or(&text).trim();
        let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !begins_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            // Not quoted: it may be a part of a secret.
            return Err(fault(
                self.line,
                "has no valid name before the `=`: letters, digits and _, as in DATABASE_URL",
            ));
        }
        Ok(Some(name.to_owned()))
    }

    /// Skips a comment.
    fn comment(&mut self) -> Result<(), Fault> {
        let line = self.line;
        let mut last = None;
        while let Some(c) = self.rest.next_if(|c| !is_line_end(*c)) {
            last = Some(c);
        }
        if last == Some('\\') {
            let what = "is a comment that ends in a backslash: systemd before version 254 skips the next line with it";
            return Err(fault(line, what));
        }
        Ok(())
    }

    /// Returns the value up to the end of its line, or of the line with its last quotation mark.
    fn value(&mut self) -> Result<String, Fault> {
        let mut value = String::new();
        self.skip(is_blank);
        while let Some(quote) = self.rest.next_if(|c| matches!(c, '\'' | '"')) {
            self.quoted(quote, &mut value)?;
            let closed = self.line;
            if self.rest.peek().is_some_and(|c| is_blank(*c)) {
                self.skip(is_blank);
                if self.rest.peek().is_some_and(|c| !is_line_end(*c)) {
                    let what = "has text after the closing quotation mark: a comment needs a line of its own";
                    return Err(fault(closed, what));
                }
            }
        }
        self.bare(&mut value);
        if value.contains('\0') {
            return Err(fault(self.line, "has a NUL in its value"));
        }
        Ok(value)
    }

    /// Reads the rest of a quoted part. Between double quotation marks a backslash escapes `"`, `\`, `` ` `` and `$`,
    /// and joins lines.
    fn quoted(&mut self, quote: char, value: &mut String) -> Result<(), Fault> {
        let opened = self.line;
        loop {
            match self.next() {
                None => return Err(fault(opened, format!("opens a quotation mark ({quote}) that is never closed"))),
                Some(c) if c == quote => return Ok(()),
                Some('\\') if quote == '"' => match self.next() {
                    Some('\n') | None => {}
                    Some(c @ ('"' | '\\' | '`' | '$')) => value.push(c),
                    Some(c) => value.extend(['\\', c]),
                },
                Some(c) => value.push(c),
            }
        }
    }

    /// Reads the rest of a value outside quotation marks. A backslash escapes the next character, and joins lines;
    /// blanks at the end are dropped.
    fn bare(&mut self, value: &mut String) {
        let mut end = value.len();
        while let Some(c) = self.rest.next_if(|c| !is_line_end(*c)) {
            if c == '\\' {
                match self.next() {
                    None | Some('\n' | '\r') => {}
                    Some(escaped) => value.push(escaped),
                }
                end = value.len();
            } else {
                value.push(c);
                if !is_blank(c) {
                    end = value.len();
                }
            }
        }
        value.truncate(end);
    }
}

#[cfg(test)]
mod tests;
