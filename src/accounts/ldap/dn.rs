//! Distinguished names (RFC 4514).

/// An attribute's type and value.
type Ava = (String, String);

/// Returns the attributes of each relative name, the entry's own first; none if the text is not a distinguished name.
pub(super) fn parse(text: &str) -> Option<Vec<Vec<Ava>>> {
    let (mut names, mut rest) = (Vec::new(), text);
    loop {
        let mut name = Vec::new();
        let end = loop {
            let (attribute, end, after) = ava(rest)?;
            name.push(attribute);
            rest = after;
            if end != Some('+') {
                break end;
            }
        };
        names.push(name);
        if end.is_none() {
            return Some(names);
        }
    }
}

/// Reads an attribute up to the separator behind it, which is returned with the rest.
fn ava(text: &str) -> Option<(Ava, Option<char>, &str)> {
    let (kind, value) = text.split_once('=')?;
    let kind = kind.trim();
    let is_type = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let value = value.trim_start_matches(' ');
    let (mut bytes, mut kept) = (Vec::new(), 0); // of unescaped spaces at the end, none is kept
    let mut chars = value.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ',' | ';' | '+' => {
                bytes.truncate(kept);
                let rest = value.get(at + 1..)?;
                return Some(((kind.to_owned(), String::from_utf8(bytes).ok()?), Some(c), rest)).filter(|_| is_type);
            }
            '\\' => {
                let (_, escaped) = chars.next()?;
                match escaped.to_digit(16) {
                    Some(high) => bytes.push(u8::try_from(high * 16 + chars.next()?.1.to_digit(16)?).ok()?),
                    None if escaped.is_ascii() => bytes.push(u8::try_from(escaped).ok()?),
                    None => return None,
                }
                kept = bytes.len();
            }
            c => {
                bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
                if c != ' ' {
                    kept = bytes.len();
                }
            }
        }
    }
    bytes.truncate(kept);
    Some(((kind.to_owned(), String::from_utf8(bytes).ok()?), None, "")).filter(|_| is_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(dn: &str) -> Option<Vec<Ava>> {
        parse(dn)?.into_iter().next()
    }

    #[test]
    fn parse_of_the_rfcs_examples_returns_their_values() {
        let one = |kind: &str, value: &str| Some(vec![(kind.to_owned(), value.to_owned())]);
        assert_eq!(parse("UID=jsmith,DC=example,DC=net").map(|names| names.len()), Some(3));
        assert_eq!(
            first("OU=Sales+CN=J.  Smith,DC=example,DC=net"),
            Some(vec![("OU".into(), "Sales".into()), ("CN".into(), "J.  Smith".into())])
        );
        assert_eq!(first(r#"CN=James \"Jim\" Smith\, III,DC=example,DC=net"#), one("CN", "James \"Jim\" Smith, III"));
        assert_eq!(first(r"CN=Before\0dAfter,DC=example,DC=net"), one("CN", "Before\rAfter"));
        assert_eq!(first(r"CN=Lu\C4\8Di\C4\87"), one("CN", "Lu\u{10d}i\u{107}"));
        assert_eq!(first(r"cn= a b \  , dc=x"), one("cn", "a b  "));
        for wrong in ["", "x", "cn=a,", "=a", "c n=a", r"cn=a\", r"cn=a\4", r"cn=\ff"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
