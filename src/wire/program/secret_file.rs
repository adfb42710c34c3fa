//! Secrets from files (`NAME_FILE`).

use std::{io::ErrorKind, path::Path};

use anyhow::Context as _;

use super::exit::Failure;
use crate::Secret;

/// The byte order mark that some editors for Windows write.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns the value of a setting that can also come from a file; an empty value counts as not set.
pub fn secret_or_file(
    name: &str,
    value: Option<Secret<String>>,
    file: Option<&Path>,
) -> anyhow::Result<Option<Secret<String>>> {
    let value = value.filter(|value| !value.expose().is_empty());
    let Some(file) = file.filter(|file| !file.as_os_str().is_empty()) else { return Ok(value) };
    let refused = |what: String| Err(Failure::usage(what).into());
    let path = file.display();
    if value.is_some() {
        return refused(format!("both {name} and {name}_FILE ({path}) are set: leave one out"));
    }
    match read_secret(file)? {
        Some(value) if value.expose().contains(['\n', '\r']) => {
            refused(format!("{name}_FILE names {path}, which has more than one line: leave only the value in it"))
        }
        Some(value) => Ok(Some(value)),
        None => refused(format!("{name}_FILE names {path}, which is empty or does not exist")),
    }
}

/// Reads the secret in a file: all of it but the last line end, so blanks are significant. None if the file is empty or
/// does not exist.
pub fn read_secret(path: &Path) -> anyhow::Result<Option<Secret<String>>> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| Failure::usage(format!("can't read {}", path.display())))?,
    };
    if bytes.starts_with(BYTE_ORDER_MARK) {
        let what = format!("{} starts with a byte order mark: save it as UTF-8 without one", path.display());
        return Err(Failure::usage(what).into());
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(Failure::usage(format!("{} is not UTF-8 text", path.display())).into());
    };
    let secret = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(if secret.is_empty() { None } else { Some(Secret::new(secret.to_owned())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the setting `X` from a file of these bytes.
    fn read(bytes: &[u8]) -> Result<Option<String>, String> {
        let file = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
        std::fs::write(&file, bytes).expect("written");
        let read = secret_or_file("X", None, Some(&file)).map_err(|error| error.to_string());
        read.map(|secret| secret.map(|secret| secret.expose().clone()))
    }

    #[test]
    fn read_keeps_blanks_and_drops_the_last_line_end() {
        for (bytes, secret) in [
            (&b"hunter2"[..], "hunter2"),
            (b"hunter2\n", "hunter2"),
            (b"hunter2\r\n", "hunter2"),
            (b" hunter2\t \n", " hunter2\t "),
            (b" \n", " "),
            (b"\"hunter2\"\n", "\"hunter2\""),
            ("z\u{fc}rich".as_bytes(), "z\u{fc}rich"),
        ] {
            assert_eq!(read(bytes), Ok(Some(secret.to_owned())), "{bytes:?}");
        }
    }

    #[test]
    fn read_of_a_file_without_a_valid_secret_reports_its_path() {
        for (bytes, words) in [
            (&b""[..], "empty"),
            (b"\n", "empty"),
            (b"\r\n", "empty"),
            (b"hunter2\n\n", "more than one line"),
            (b"hunter2\nhunter3", "more than one line"),
            (b"\xef\xbb\xbfhunter2", "byte order mark"),
            (b"hunter\xff", "UTF-8"),
        ] {
            let error = read(bytes).expect_err(words);
            assert!(error.contains(words) && error.contains("/tmp") && !error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn secret_or_file_with_both_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("url");
        std::fs::write(&file, "from-file\n").expect("write");
        let value = || Some(Secret::new("from-env".to_owned()));
        secret_or_file("X", value(), Some(&file)).expect_err("both");
        assert_eq!(secret_or_file("X", value(), None).expect("value"), value());
        assert_eq!(secret_or_file("X", Some(Secret::new(String::new())), None).expect("empty"), None);
        secret_or_file("X", None, Some(&folder.path().join("missing"))).expect_err("missing");
    }
}
