//! Bearer tokens, with which programs sign in without a password. Each has fewer rights than its user, and expires.

mod api;
pub(super) mod db;

pub use api::TokenApi;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};
use uncloud_wire::Secret;

use crate::error::Error;

/// The first characters of secrets, by which people and scanners of source code recognise them.
const MARK: &str = "unc_";
/// The number of characters of a secret: the mark and 256 bits.
const SECRET_LEN: usize = MARK.len() + 43;
/// The number of characters of a secret that are stored, to recognise it.
const PREFIX_LEN: usize = MARK.len() + 8;

/// Generates a new token's secret.
fn new_secret() -> Result<Secret<String>, Error> {
    let mut random = [0; 32];
    SystemRandom::new().fill(&mut random)?;
    Ok(Secret::new(format!("{MARK}{}", URL_SAFE_NO_PAD.encode(random))))
}

/// Returns the hash of a secret that is stored; none if it is not a valid secret.
pub(super) fn hash(secret: &Secret<String>) -> Option<[u8; 32]> {
    let text = secret.expose();
    let possible = text.len() == SECRET_LEN && text.starts_with(MARK);
    possible.then(|| digest(&SHA256, text.as_bytes()).as_ref().try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_of_malformed_secret_is_none() {
        let (one, other) = (new_secret().expect("random"), new_secret().expect("random"));
        assert_ne!(one.expose(), other.expose());
        assert!(hash(&one).is_some() && hash(&one) != hash(&other));
        for wrong in ["", "unc_", &one.expose()[1..], &format!("{}x", one.expose()), &"x".repeat(SECRET_LEN)] {
            assert_eq!(hash(&Secret::new(wrong.to_owned())), None, "{wrong:?}");
        }
    }
}
