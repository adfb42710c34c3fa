//! Looking for secrets where they do not belong.

use std::{
    collections::BTreeSet,
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A secret in all the ways in which it could be written.
pub(crate) struct Secret {
    name: &'static str,
    forms: Vec<Vec<u8>>,
}

impl Secret {
    pub(crate) fn new(name: &'static str, bytes: &[u8]) -> Self {
        let base64 = STANDARD.encode(bytes);
        let hex = bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let escaped = bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let texts = [base64.trim_end_matches('=').to_owned(), hex.to_uppercase(), hex, escaped];
        let forms = texts.into_iter().map(String::into_bytes).chain([bytes.to_vec()]);
        Self { name, forms: forms.collect() }
    }

    pub(crate) fn of_key(name: &'static str, base64: &str) -> Self {
        Self::new(name, &STANDARD.decode(base64).expect("a key"))
    }

    fn is_in(&self, haystack: &[u8]) -> bool {
        self.forms.iter().any(|form| haystack.windows(form.len()).any(|window| window == form.as_slice()))
    }
}

pub(crate) fn found(secrets: &[Secret], place: &str, text: &[u8]) -> Vec<String> {
    secrets.iter().filter(|secret| secret.is_in(text)).map(|secret| format!("{} in {place}", secret.name)).collect()
}

/// Looks at arguments and environment of every process, again and again: most live for milliseconds.
pub(crate) fn watch_processes(secrets: &[Secret], stop: &AtomicBool, server: i32) -> BTreeSet<String> {
    let mut leaks = BTreeSet::new();
    while !stop.load(Ordering::SeqCst) {
        for entry in fs::read_dir("/proc").expect("proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            for file in ["cmdline", "environ"] {
                if pid == server && file == "environ" {
                    continue; // where the operator put them
                }
                let Ok(text) = fs::read(entry.path().join(file)) else { continue };
                let program = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                leaks.extend(found(secrets, &format!("{file} of {}", program.trim()), &text));
            }
        }
    }
    leaks
}
