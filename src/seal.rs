//! Encryption of secrets at rest, under `UNCLOUD_SECRET_KEY`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest,
    rand::{SecureRandom, SystemRandom},
};
use uncloud_wire::Secret;

/// The length of the key in bytes.
pub const SECRET_KEY_LEN: usize = 32;

/// The error of a text that is not a secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret key must be 32 random bytes in base64; create one with `openssl rand -base64 32`")]
pub struct SecretKeyError;

/// The reason for which a ciphertext could not be decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was encrypted under another key.
    #[error(
        "it was encrypted under the secret key {needed}, but this server has {present}; start the server with the old UNCLOUD_SECRET_KEY"
    )]
    OtherKey {
        /// The key's id that is stored with the ciphertext.
        needed: String,
        /// The id of the server's key.
        present: String,
    },
    /// The ciphertext was changed, or belongs to another row.
    #[error("it is damaged or belongs to another object")]
    Damaged,
}

/// The secret key, with the id that is stored with each ciphertext, so that the key can be replaced later.
pub struct Sealer {
    key: LessSafeKey,
    key_id: String,
    random: SystemRandom,
}

impl Sealer {
    /// Creates a sealer from a key of 32 bytes in base64.
    pub fn new(secret_key: &Secret<String>) -> Result<Self, SecretKeyError> {
        let bytes = STANDARD.decode(secret_key.expose().trim()).map_err(|_| SecretKeyError)?;
        if bytes.len() != SECRET_KEY_LEN {
            return Err(SecretKeyError);
        }
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| SecretKeyError)?;
        let hash = digest::digest(&digest::SHA256, &bytes);
        let key_id = format!("{:08x}", hash.as_ref().iter().take(4).fold(0_u32, |id, byte| id << 8 | u32::from(*byte)));
        Ok(Self { key: LessSafeKey::new(unbound), key_id, random: SystemRandom::new() })
    }

    /// Returns the key's id, which does not reveal the key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Encrypts a secret; `context` identifies the row's object, so that a ciphertext moved to another object can't be
    /// decrypted.
    pub fn seal(&self, context: &str, plaintext: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce)?;
        let mut sealed = plaintext.to_vec();
        self.key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context.as_bytes()),
            &mut sealed,
        )?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Decrypts a ciphertext that [`Self::seal`] returned under the same key and context.
    pub fn open(&self, context: &str, key_id: &str, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        if key_id != self.key_id {
            return Err(OpenError::OtherKey { needed: key_id.to_owned(), present: self.key_id.clone() });
        }
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN).ok_or(OpenError::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Damaged)?;
        let mut buffer = ciphertext.to_vec();
        let plaintext = self
            .key
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut buffer)
            .map_err(|_| OpenError::Damaged)?;
        Ok(plaintext.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&Secret::new(STANDARD.encode([byte; SECRET_KEY_LEN]))).expect("valid key")
    }

    #[test]
    fn open_with_another_key_or_context_fails() {
        let (one, other) = (sealer(1), sealer(2));
        let sealed = one.seal("vpn_pool", b"secret").expect("sealed");
        assert_eq!(one.open("vpn_pool", one.key_id(), &sealed).as_deref(), Ok(b"secret".as_slice()));
        assert_eq!(one.open("other", one.key_id(), &sealed), Err(OpenError::Damaged));
        assert!(matches!(other.open("vpn_pool", one.key_id(), &sealed), Err(OpenError::OtherKey { .. })));
        let mut changed = sealed;
        *changed.last_mut().expect("not empty") ^= 1;
        assert_eq!(one.open("vpn_pool", one.key_id(), &changed), Err(OpenError::Damaged));
    }

    #[test]
    fn new_with_a_key_of_another_length_is_refused() {
        for wrong in ["", "AAAA", "not base64!"] {
            assert!(Sealer::new(&Secret::new(wrong.to_owned())).is_err(), "{wrong:?}");
        }
    }
}
