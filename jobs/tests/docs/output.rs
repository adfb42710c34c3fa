//! Comparing what a document shows with what a command printed.

/// Stands for any text in a line, or as a line of its own for any number of lines.
const ANYTHING: char = '…';

/// Returns whether the output is the one that is shown.
pub(crate) fn is_as_shown(shown: &[String], printed: &str) -> bool {
    let shown: Vec<String> = shown.iter().map(|line| words(line)).filter(|line| !line.is_empty()).collect();
    let printed = printed.lines().filter(|line| !is_log(line)).map(words);
    let printed: Vec<String> = printed.filter(|line| !line.is_empty()).collect();
    lines_match(&shown, &printed)
}

/// Returns whether a line is of the log, as in `2026-11-29T22:58:08.183271Z  INFO bill run started`. Documents leave these out, but
/// warnings and errors would surprise a reader.
fn is_log(line: &str) -> bool {
    line.split_once("Z  INFO ").is_some_and(|(time, _)| {
        time.len() == 26 && time.bytes().all(|byte| byte.is_ascii_digit() || b"-T:.".contains(&byte))
    })
}

/// Runs of blanks count as one, so that columns may be wider here than there.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lines_match(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first.chars().eq([ANYTHING]) => {
            (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..]))
        }
        Some((first, rest)) => {
            printed.split_first().is_some_and(|(line, others)| line_matches(first, line) && lines_match(rest, others))
        }
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let mut parts = shown.split(ANYTHING).map(str::trim);
    let Some(mut left) = parts.next().and_then(|first| printed.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return left.is_empty() };
    for part in middle {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::is_as_shown;

    #[test]
    fn ellipsis_matches_any_text_and_any_lines() {
        let shown = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (lines, printed) in [
            (&["ID  NAME", "…   a"][..], "ID    NAME\n1000  a\n"),
            (&["…", "end"], "one\ntwo\n\nend\n"),
            (&["…"], ""),
            (&["a … c … e"], "a b c d e"),
            (&["a"], "2026-11-29T22:58:08.183271Z  INFO said by the log\na"),
            (&["{\"id\":…}"], "{\"id\":1,\"x\":2}"),
        ] {
            assert!(is_as_shown(&shown(lines), printed), "{lines:?} {printed:?}");
        }
        for (lines, printed) in [
            (&["a"][..], "a\nb"),
            (&["a", "b"], "a"),
            (&["a … c"], "a b"),
            (&["a"], "ab"),
            (&["…", "end"], "end\nmore"),
            (&["ab…ba"], "aba"),
            (&["a"], "2026-11-29T22:58:08.183271Z  WARN said by the log\na"),
        ] {
            assert!(!is_as_shown(&shown(lines), printed), "{lines:?} {printed:?}");
        }
    }
}
