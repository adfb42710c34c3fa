use std::process::Command;

use super::*;

/// systemd's own reader of such files, as a program: it prints the settings that it has read.
const SYSTEMD: &str = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";

/// Lines and the value of `X` in them.
const VALUES: &[(&str, &str)] = &[
    ("X=value", "value"),
    ("X=", ""),
    ("X=\n\n", ""),
    ("X=two words", "two words"),
    ("X=a=b", "a=b"),
    ("X=a#b", "a#b"),
    ("X=value # no comment", "value # no comment"),
    ("X=value ; no comment", "value ; no comment"),
    ("# comment\n\n  \t\n; comment\n  X=value", "value"),
    ("#X=other\nX=value\n#", "value"),
    ("X=first\nX=last", "last"),
    ("  X = value \t\nY=other", "value"),
    ("X=value\r\nY=other\r\n", "value"),
    ("X=\"two words\"", "two words"),
    ("X='two words'\n", "two words"),
    ("X=\"  blanks  \"  ", "  blanks  "),
    ("X=\"it's\"", "it's"),
    ("X='say \"hi\"'", "say \"hi\""),
    ("X='back\\slash'", "back\\slash"),
    ("X=\"a\\\"b\\\\c\\`d\"", "a\"b\\c`d"),
    ("X=\"a\\nb\"", "a\\nb"),
    ("X='a'\"b\"c", "abc"),
    ("X=it's", "it's"),
    ("X=a\"b c\"", "a\"b c\""),
    ("X=a\\ b\\ ", "a b "),
    ("X=a\\\\b\\#c", "a\\b#c"),
    ("X=one \\\ntwo", "one two"),
    ("X=\"one \\\ntwo\"", "one two"),
    ("X=z\u{fc}rich", "z\u{fc}rich"),
];

/// Bytes that are refused, the line in the error, and words of the message.
const FAULTS: &[(&[u8], usize, &str)] = &[
    (b"X=1\nnonsense\n", 2, "no `=`"),
    (b"X=1\n\n# comment\n=2\n", 4, "valid name"),
    (b"1X=1", 1, "valid name"),
    (b"A B=1", 1, "valid name"),
    (b"export A B=1", 1, "valid name"),
    (b"X-Y=1", 1, "valid name"),
    (b"\xc3\xbc=1", 1, "valid name"),
    (b"X=1\nY=\"open\nZ=1\n", 2, "never closed"),
    (b"X=1\n# a comment \\\nY=2", 2, "ends in a backslash"),
    (b"X='open", 1, "never closed"),
    (b"X=\"open\\\"", 1, "never closed"),
    (b"X=\"a\" # comment", 1, "closing quotation mark"),
    (b"X=\"a\nb\" \"c\"", 2, "closing quotation mark"),
    (b"\xef\xbb\xbfX=1", 1, "byte order mark"),
    (b"X=1\nY=\xff\n", 2, "UTF-8"),
    (b"X=1\nY=a\0b\nZ=1\n", 2, "NUL"),
];

fn value(text: &str) -> String {
    let settings = parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{text:?}: {fault:?}"));
    settings.get("X").unwrap_or_else(|| panic!("no X in {text:?}: {settings:?}")).clone()
}

#[test]
fn parse_of_valid_lines_returns_the_expected_values() {
    for (text, expected) in VALUES {
        assert_eq!(value(text), *expected, "{text:?}");
    }
}

#[test]
fn parse_ignores_export_and_does_not_expand_variables() {
    // systemd ignores `export X=value`; it leaves `$` as it is in a unit's file, but not in those of the test below.
    assert_eq!(value("export X=value"), "value");
    assert_eq!(value("export\tX=value"), "value");
    assert_eq!(parse(b"export=1").expect("a name like another")["export"], "1");
    for text in ["X=$HOME", "X=\"$HOME\"", "X=\"\\$HOME\"", "X='$HOME'", "X=\\$HOME"] {
        assert_eq!(value(text), "$HOME", "{text:?}");
    }
    assert_eq!(value("X=\"two\nlines\""), "two\nlines");
}

#[test]
fn parse_of_invalid_lines_reports_the_line() {
    for (bytes, line, words) in FAULTS {
        let text = String::from_utf8_lossy(bytes);
        let fault = parse(bytes).expect_err(&text);
        assert!(fault.line == *line && fault.what.contains(words), "{text:?}: {fault:?}");
    }
}

#[test]
fn read_of_an_invalid_file_reports_its_path_without_values() {
    let file = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
    std::fs::write(&file, "DATABASE_URL=postgres://u:hunter2@h/x\nhunter2\n").expect("written");
    let error = read(&file).expect_err("refused").to_string();
    let named = error.contains("line 2") && error.contains(&file.display().to_string());
    assert!(named && !error.contains("hunter2"), "{error}");
    let error = read(Path::new("/nonexistent/file")).expect_err("refused").to_string();
    assert!(error.contains("/nonexistent/file"), "{error}");
}

/// Returns the value that systemd printed: in quotation marks, it escapes each special character with a backslash.
fn printed_value(printed: &str) -> String {
    let Some(quoted) = printed.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return printed.to_owned();
    };
    let mut escaped = false;
    let kept = quoted.chars().filter(|c| {
        escaped = *c == '\\' && !escaped;
        !escaped
    });
    kept.collect()
}

/// Runs systemd's reader over each line of the table. It needs the package systemd, not a running systemd.
#[test]
fn systemd_reads_the_same_values() {
    assert!(Path::new(SYSTEMD).exists(), "{SYSTEMD} is missing: install the package systemd");
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("environment.d");
    std::fs::create_dir(&folder).expect("a folder");
    for (text, expected) in VALUES {
        std::fs::write(folder.join("1.conf"), text).expect("written");
        let mut command = Command::new(SYSTEMD);
        let output = command.env_clear().env("XDG_CONFIG_HOME", home.path()).output().expect("systemd");
        let stdout = String::from_utf8(output.stdout).expect("text");
        // An empty value is not printed: in the files that this program reads, it unsets the variable.
        let printed = stdout.lines().find_map(|line| line.strip_prefix("X=")).unwrap_or_default();
        assert_eq!(printed_value(printed), *expected, "{text:?}: {stdout}");
    }
}
