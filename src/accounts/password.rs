//! Local passwords: Argon2id (RFC 9106) with the crate's default costs, of the text in its composed form (NFC), so that it
//! does not matter whether a keyboard writes an umlaut as one character or as two.

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, PasswordHash, Salt},
};
use uncloud_wire::Secret;
use unicode_normalization::UnicodeNormalization as _;

/// The length of a new password in characters; shorter ones can be guessed, longer ones only cost time.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=256;
/// The maximal length in bytes of a text that is compared with a password.
const MAX_BYTES: usize = 1024;

/// The hash of a password that no user has: with it, checking an unknown user takes as long as checking a known one.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5$Zr0X1Y5JHnT0JZx7z5z0nq0mE1bQfYwq4V8nq2oQvYk";

/// The error of a text that can't be a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("has {0} characters; it needs at least {min} and at most {max}", min = LENGTH.start(), max = LENGTH.end())]
pub struct PasswordLengthError(usize);

/// A password that a user may get.
#[derive(Debug, Clone)]
pub struct NewPassword(Secret<String>);

impl NewPassword {
    /// Checks the length, in characters.
    pub fn new(text: &Secret<String>) -> Result<Self, PasswordLengthError> {
        let composed: String = text.expose().nfc().collect();
        let length = composed.chars().count();
        if LENGTH.contains(&length) { Ok(Self(Secret::new(composed))) } else { Err(PasswordLengthError(length)) }
    }

    /// Hashes the password for storage.
    pub(super) fn hash(&self) -> anyhow::Result<String> {
        let hashed = || -> argon2::password_hash::phc::Result<String> {
            let mut hash = PasswordHash::new(NOBODYS)?;
            hash.salt = Some(Salt::generate());
            hash.hash = computed(self.0.expose(), &hash);
            Ok(hash.to_string())
        };
        hashed().map_err(|error| anyhow::anyhow!("could not hash the password: {error}"))
    }

    /// Returns whether this is the password with that hash.
    pub(super) fn has_hash(&self, hash: &str) -> bool {
        verify(&self.0, Some(hash))
    }
}

/// Returns true if a password can be valid, so that checking it makes sense.
pub(super) fn is_possible(password: &Secret<String>) -> bool {
    (1..=MAX_BYTES).contains(&password.expose().len())
}

/// Returns the forms in which a password may have been set: one, unless it has accents.
pub(super) fn forms(password: &Secret<String>) -> Vec<String> {
    let typed = password.expose();
    let mut forms = vec![typed.nfc().collect(), typed.clone(), typed.nfd().collect::<String>()];
    forms.dedup();
    forms
}

/// Checks a password in a time that does not depend on the user; without a hash it takes as long and fails. Passwords that
/// were set before they were composed may have either form.
pub(super) fn verify(password: &Secret<String>, hash: Option<&str>) -> bool {
    if !is_possible(password) {
        return false;
    }
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(NOBODYS)) else { return false };
    // Outputs are compared in constant time.
    let is_right = |form: &String| parsed.hash.is_some() && computed(form, &parsed) == parsed.hash;
    forms(password).iter().any(is_right) && hash.is_some()
}

/// The memory in KiB from which on glibc gives a buffer to the system as soon as it is freed. Smaller ones stay with the thread
/// that had them: after many logins at once, for ever.
const GIVEN_BACK: usize = 33 * 1024;

/// Computes the output with the salt and the costs of a hash; none if they are invalid.
fn computed(password: &str, hash: &PasswordHash) -> Option<Output> {
    let (salt, params) = (hash.salt.as_ref()?, Params::try_from(hash).ok()?);
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
    let blocks = params.block_count();
    let mut memory = Vec::with_capacity(blocks.max(GIVEN_BACK)); // of 1 KiB each; what is not used is never touched
    memory.resize(blocks, Block::default());
    let mut output = vec![0; hash.hash.as_ref()?.len()];
    let argon2 = Argon2::new(algorithm, version, params);
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, memory).ok()?;
    Output::new(&output).ok()
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher as _;

    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn verify_other_password_is_refused() {
        let password = secret("correct horse");
        let hash = NewPassword::new(&password).expect("long enough").hash().expect("hashed");
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify(&password, Some(&hash)));
        assert!(!verify(&secret("wrong horse"), Some(&hash)));
        assert!(!verify(&secret(""), Some(&hash)));
        assert!(!verify(&password, None));
    }

    #[test]
    fn verify_composed_and_decomposed_text_is_one_password() {
        let (composed, decomposed) = (secret("Gr\u{fc}ezi mitenand"), secret("Gru\u{308}ezi mitenand"));
        for set in [&composed, &decomposed] {
            let hash = NewPassword::new(set).expect("long enough").hash().expect("hashed");
            assert!(verify(&composed, Some(&hash)) && verify(&decomposed, Some(&hash)));
        }
        for before in [&composed, &decomposed] {
            let hash = Argon2::default().hash_password(before.expose().as_bytes()).expect("hashed").to_string();
            assert!(verify(&composed, Some(&hash)) && verify(&decomposed, Some(&hash)), "set by an earlier version");
        }
    }

    #[test]
    fn new_password_is_measured_in_characters() {
        let length = |text: &str| NewPassword::new(&secret(text)).err().map(|error| error.0);
        assert_eq!(length(&"\u{fc}".repeat(7)), Some(7));
        assert_eq!(length(&"u\u{308}".repeat(7)), Some(7), "of the composed form");
        assert_eq!(length(&"\u{fc}".repeat(8)), None);
        assert_eq!(length(&"\u{1f40e}".repeat(256)), None);
        assert_eq!(length(&"x".repeat(257)), Some(257));
    }

    #[test]
    fn verify_unknown_user_hashes_too() {
        assert!(PasswordHash::new(NOBODYS).is_ok());
    }
}
