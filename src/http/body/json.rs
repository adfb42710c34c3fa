//! JSON of requests, parsed more strictly than RFC 8259 requires: a duplicate member may mean one thing to this server
//! and another to a proxy that inspected the request before it, so it is refused.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// A value in which no object has a duplicate member.
struct Unambiguous(Value);

/// Parses a complete text. A byte order mark before it is ignored (RFC 8259, 8.1).
pub(super) fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    serde_json::from_slice::<Unambiguous>(text).map(|value| value.0)
}

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values).map(Self)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    /// A number with a fraction of zero is an integer, as for JSON Schema: 48.0 is 48.
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        let whole =
            Some(value).filter(|value| value.fract() == 0.0).and_then(|value| value.to_string().parse::<i64>().ok());
        Ok(whole.map_or_else(|| value.into(), Value::from))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                let name: String = name.chars().take(40).collect();
                return Err(A::Error::custom(format_args!("the member {name:?} occurs twice; send it once")));
            }
            let Unambiguous(value) = members.next_value()?;
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_without_duplicate_members_is_parsed_unchanged() {
        for value in [
            json!({ "a": [null, true, -1, 18_446_744_073_709_551_615_u64, 1.5, "\u{e9}"], "b": { "a": {} } }),
            json!([]),
            json!("x"),
        ] {
            assert_eq!(parse(value.to_string().as_bytes()).expect("JSON"), value);
        }
        for wrong in ["", "{", "{\"a\":1}x", "nul", &"[".repeat(200)] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn json_with_byte_order_mark_or_fraction_of_zero_is_parsed() {
        assert_eq!(
            parse(b"\xef\xbb\xbf{\"a\": [48.0, -4.8e1, 48.5, 1e300]}").expect("JSON"),
            json!({ "a": [48, -48, 48.5, 1e300] })
        );
    }

    #[test]
    fn json_with_duplicate_member_at_any_depth_is_refused() {
        for twice in [r#"{"size": 64, "size": 48}"#, r#"{"a": [{"size": 1, "b": 2, "s\u0069ze": 1}]}"#] {
            let error = parse(twice.as_bytes()).expect_err("twice").to_string();
            assert!(error.contains("\"size\" occurs twice"), "{error}");
        }
    }
}
