//! Local passwords: Argon2id (RFC 9106) with the crate's default costs.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use uncloud_wire::Secret;

/// The maximal length of a password in bytes; longer ones only cost time.
const MAX_LEN: usize = 1024;

/// The hash of a password that no user has: with it, checking an unknown user takes as long as checking a known one.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5$Zr0X1Y5JHnT0JZx7z5z0nq0mE1bQfYwq4V8nq2oQvYk";

/// Hashes a password for storage.
pub(super) fn hash(password: &Secret<String>) -> anyhow::Result<String> {
    Argon2::default()
        .hash_password(password.expose().as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| anyhow::anyhow!("could not hash the password: {error}"))
}

/// Returns true if a password can be valid, so that checking it makes sense.
pub(super) fn is_possible(password: &Secret<String>) -> bool {
    (1..=MAX_LEN).contains(&password.expose().len())
}

/// Checks a password in a time that does not depend on its content; without a hash it takes as long and fails.
pub(super) fn verify(password: &Secret<String>, hash: Option<&str>) -> bool {
    if !is_possible(password) {
        return false;
    }
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(NOBODYS)) else { return false };
    Argon2::default().verify_password(password.expose().as_bytes(), &parsed).is_ok() && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verify_other_password_is_refused() {
        let password = Secret::new("correct horse".to_owned());
        let hash = hash(&password).expect("hashed");
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify(&password, Some(&hash)));
        assert!(!verify(&Secret::new("wrong horse".to_owned()), Some(&hash)));
        assert!(!verify(&Secret::new(String::new()), Some(&hash)));
        assert!(!verify(&password, None));
    }

    #[test]
    fn verify_unknown_user_hashes_too() {
        assert!(PasswordHash::new(NOBODYS).is_ok());
    }
}
