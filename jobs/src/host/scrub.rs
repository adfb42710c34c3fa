//! Makes the output of other programs safe for errors and logs.

/// The longest text that is kept. The end is kept, because programs end with the reason.
const MAX_CHARS: usize = 300;

/// The length from which a run of base64 or hexadecimal digits is treated as a key (a key has 43, without padding).
const KEY_CHARS: usize = 40;

/// Returns one line of printable ASCII without anything that looks like a key.
///
/// `wg` prints the value that it could not parse, which may be a private key; and a control character could forge a
/// line in a log or control a terminal.
pub(super) fn scrub(text: &str) -> String {
    let printable: String = text.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect();
    let line = without_keys(&printable).split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return "no output".to_owned();
    }
    // Only ASCII remains, so bytes are characters.
    match line.len().checked_sub(MAX_CHARS) {
        Some(surplus) if surplus > 0 => format!("...{}", &line[surplus..]),
        _ => line,
    }
}

fn without_keys(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_ascii_alphanumeric() || "+/-_".contains(c) {
            run.push(c);
            continue;
        }
        out.push_str(if run.len() >= KEY_CHARS { "[key]" } else { &run });
        run.clear();
        out.push(c);
    }
    out.replace("[key]=", "[key]")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";

    #[test]
    fn scrub_replaces_keys_in_every_encoding() {
        let hex = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ac177fba51db92c2a";
        let url_safe = "dwdtCnMYpX08FsFyUbJm_d9ML4frw-kqsXf7pR25LCo";
        let message = format!("Key is not the correct length or format: `{KEY}'\nprivate_key={hex} {url_safe}");
        assert_eq!(scrub(&message), "Key is not the correct length or format: `[key]' private_key=[key] [key]");
        assert_eq!(scrub(KEY), "[key]");
    }

    #[test]
    fn scrub_keeps_useful_text() {
        let message = "RTNETLINK answers: Address already in use";
        assert_eq!(scrub(message), message);
        let address = "Error: inet6 prefix is expected rather than \"2a0a:e5c1:200:1111:2222:3333:4444:5555/48\".";
        assert_eq!(scrub(address), address);
    }

    #[test]
    fn scrub_returns_one_printable_line() {
        assert_eq!(scrub("a\u{1b}[31mb\r\n2026 INFO forged\u{202e}\0"), "a [31mb 2026 INFO forged");
        assert_eq!(scrub(" \n"), "no output");
    }

    #[test]
    fn scrub_keeps_end_of_long_text() {
        let message = scrub(&format!("{}the reason", "bla ".repeat(1000)));
        assert!(message.starts_with("...") && message.ends_with("the reason"), "{message}");
        assert_eq!(message.len(), MAX_CHARS + 3);
    }
}
