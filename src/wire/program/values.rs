//! Values of options, with errors that name the accepted form.

use std::net::SocketAddr;

use chrono::{DateTime, Utc};

/// Parses the value of an option that is on or off.
pub fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("must be yes or no (or true, false, on, off, 1, 0)".to_owned()),
    }
}

/// Parses a time.
pub fn time(text: &str) -> Result<DateTime<Utc>, String> {
    text.parse().map_err(|_| "must be a time as in 2026-01-31T00:00:00Z (RFC 3339)".to_owned())
}

/// Parses an address to listen on.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an address and a port, as in 127.0.0.1:8000 or [::]:443".to_owned())
}

/// Parses the number of a job or of a worker.
pub fn number(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("must be a number, as in 42".to_owned()),
    }
}

/// Parses a JSON object.
pub fn object(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value),
        Ok(_) => Err("must be a JSON object, as in {}".to_owned()),
        Err(error) => Err(format!("must be a JSON object, as in {{}}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_values_get_the_accepted_form() {
        let errors = [
            switch("maybe").map(drop),
            time("yesterday").map(drop),
            time("2026-02-30T00:00:00Z").map(drop),
            address("8000").map(drop),
            address("localhost:8000").map(drop),
            number("x").map(drop),
            number("0").map(drop),
            object("[]").map(drop),
            object("{").map(drop),
        ];
        for error in errors {
            assert!(error.as_ref().is_err_and(|error| error.starts_with("must be ")), "{error:?}");
        }
        assert_eq!(switch("Yes"), Ok(true));
        assert!(time("2026-01-31T00:00:00+01:00").is_ok() && address("[::]:443").is_ok() && number("42") == Ok(42));
        assert!(object("{\"dry\": true}").is_ok());
    }
}
