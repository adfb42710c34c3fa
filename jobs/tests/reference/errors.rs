//! errors.md: every problem code of the API.

use std::fmt::Write as _;

use reqwest::StatusCode;
use uncloud::code::Code;

use crate::markdown::{GENERATED, wrapped};

const INTRO: &str = "\
Every response with an error is a problem (RFC 9457, `application/problem+json`). Its `code` is one of these; programs can \
rely on it: a code never changes its meaning, and new codes may come. Its `detail` is for people and may change. `errors` \
names each field that is wrong by a JSON pointer, and `request_id` is in the log of the server. `GET /v1/problem` lists the \
codes of a running server.";

pub(crate) fn page() -> String {
    let mut page = format!("# Errors\n\n{GENERATED}\n\n{}\n", wrapped("", INTRO));
    let mut status = 0;
    for code in Code::ALL {
        if code.status() != status {
            status = code.status();
            let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
            write!(page, "\n## {status} {}\n\n", reason.unwrap_or_default()).expect("text");
        }
        let text = format!("`{}`: {} **What to do:** {}", code.name(), code.about(), code.remedy());
        page += &wrapped("- ", &text);
        page.push('\n');
    }
    page
}

#[test]
fn problem_codes_are_sorted_by_status() {
    assert!(Code::ALL.is_sorted_by_key(|code| code.status()), "each status has one heading");
}
