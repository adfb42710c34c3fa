//! Curve25519 keys as WireGuard uses them: 32 bytes, written as base64 with padding.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use x25519_dalek::StaticSecret;

/// The length of a WireGuard key in bytes.
pub const KEY_LEN: usize = 32;

/// The error of a text that is not a usable WireGuard key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not canonical padded base64 of 32 bytes.
    #[error(
        "must be 32 bytes in standard base64 with padding (44 characters), as `wg genkey` and `wg pubkey` print it"
    )]
    Encoding,
    /// A point of low order (all zero among them): every handshake with it would fail.
    #[error(
        "is not a usable Curve25519 public key (low order or not canonical); create one with `wg genkey | wg pubkey`"
    )]
    LowOrder,
    /// The all-zero private key, which WireGuard reads as "unset".
    #[error("must not be all zero; create one with `wg genkey`")]
    Zero,
}

/// A public key, which identifies a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_LEN]);

impl PublicKey {
    /// Returns the raw key.
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

/// Returns true if the bytes are the canonical encoding of a point. The largest field element plus one is p = 2^255 -
/// 19; bytes from there on encode a point a second time.
fn is_canonical(bytes: &[u8; KEY_LEN]) -> bool {
    let top = bytes[KEY_LEN - 1];
    let at_or_above_p = top == 0x7f && bytes[1..KEY_LEN - 1].iter().all(|byte| *byte == 0xff) && bytes[0] >= 0xed;
    top < 0x80 && !at_or_above_p
}

/// The points of low order, on the curve and on its twist: every secret shared with them is zero. All that have a
/// canonical encoding (D. J. Bernstein, https://cr.yp.to/ecdh.html#validate). A list, because each key of a pool is
/// read several times per change, and a check by multiplication takes a hundred thousand times as long.
const LOW_ORDER: [[u8; KEY_LEN]; 5] = {
    let (mut one, mut minus_one) = ([0; KEY_LEN], [0xff; KEY_LEN]);
    one[0] = 1;
    minus_one[0] = 0xec;
    minus_one[KEY_LEN - 1] = 0x7f;
    let order_eight = [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ];
    let other_of_order_eight = [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ];
    [[0; KEY_LEN], one, minus_one, order_eight, other_of_order_eight]
};

impl TryFrom<[u8; KEY_LEN]> for PublicKey {
    type Error = KeyError;

    fn try_from(bytes: [u8; KEY_LEN]) -> Result<Self, KeyError> {
        if is_canonical(&bytes) && !LOW_ORDER.contains(&bytes) { Ok(Self(bytes)) } else { Err(KeyError::LowOrder) }
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        decode(text)?.try_into()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format_args!("public key {error}")))
    }
}

/// The key as a database column: 32 bytes.
#[cfg(feature = "sqlx")]
mod column {
    use sqlx::{
        Decode, Postgres,
        error::BoxDynError,
        postgres::{PgTypeInfo, PgValueRef},
    };

    use super::{KEY_LEN, PublicKey};

    impl sqlx::Type<Postgres> for PublicKey {
        fn type_info() -> PgTypeInfo {
            <[u8] as sqlx::Type<Postgres>>::type_info()
        }
    }

    impl Decode<'_, Postgres> for PublicKey {
        fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
            let bytes = <&[u8] as Decode<Postgres>>::decode(value)?;
            Ok(<[u8; KEY_LEN]>::try_from(bytes)?.try_into()?)
        }
    }
}

/// The private key of a pool's server: clamped, never printed.
#[derive(Clone)]
pub struct PrivateKey(StaticSecret);

impl PrivateKey {
    /// Generates a key from the system's random numbers.
    pub fn generate(random: &SystemRandom) -> Result<Self, ring::error::Unspecified> {
        let mut bytes = [0; KEY_LEN];
        random.fill(&mut bytes)?;
        Ok(Self::clamped(bytes))
    }

    /// Clamps a key. WireGuard clamps each key that it reads; storing the clamped form keeps a key equal when it is
    /// read back.
    fn clamped(mut bytes: [u8; KEY_LEN]) -> Self {
        bytes[0] &= 0b1111_1000;
        bytes[31] = (bytes[31] & 0b0111_1111) | 0b0100_0000;
        Self(StaticSecret::from(bytes))
    }

    /// Returns the public key that belongs to it.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(x25519_dalek::PublicKey::from(&self.0).to_bytes())
    }

    /// Returns the raw key, for encryption at rest and for `wg`'s standard input.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        self.0.as_bytes()
    }

    /// Returns the key as `wg` reads it.
    pub fn expose_base64(&self) -> String {
        STANDARD.encode(self.0.as_bytes())
    }
}

impl TryFrom<[u8; KEY_LEN]> for PrivateKey {
    type Error = KeyError;

    fn try_from(bytes: [u8; KEY_LEN]) -> Result<Self, KeyError> {
        if bytes == [0; KEY_LEN] { Err(KeyError::Zero) } else { Ok(Self::clamped(bytes)) }
    }
}

impl FromStr for PrivateKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        decode(text)?.try_into()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Only for the payload on its way to the host: the key is never stored in a job row, listing or log.
impl Serialize for PrivateKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.expose_base64())
    }
}

impl<'de> Deserialize<'de> for PrivateKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format_args!("private key {error}")))
    }
}

/// Decodes a key. The engine `STANDARD` refuses missing padding, the URL-safe alphabet and stray trailing bits.
fn decode(text: &str) -> Result<[u8; KEY_LEN], KeyError> {
    let bytes = STANDARD.decode(text).map_err(|_| KeyError::Encoding)?;
    bytes.try_into().map_err(|_| KeyError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Alice's key pair of RFC 7748, section 6.1.
    const PRIVATE: &str = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
    const PUBLIC: &str = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";

    #[test]
    fn public_key_of_rfc_7748_private_key_is_derived() {
        let private: PrivateKey = PRIVATE.parse().expect("valid");
        assert_eq!(private.public_key().to_string(), PUBLIC);
        assert_eq!(PUBLIC.parse::<PublicKey>().expect("valid").to_string(), PUBLIC);
    }

    #[test]
    fn parse_with_another_encoding_is_refused() {
        let wrong = [
            "",
            "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo",    // no padding
            "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo=",   // URL-safe alphabet
            "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmp=",   // stray trailing bits
            "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n", // a newline could inject a peer
            "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTg==",   // 31 bytes
            "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmoB",   // 33 bytes
        ];
        for text in wrong {
            assert_eq!(text.parse::<PublicKey>(), Err(KeyError::Encoding), "{text:?}");
        }
    }

    #[test]
    fn public_key_of_low_order_or_not_canonical_is_refused() {
        let mut one = [0; KEY_LEN];
        one[0] = 1;
        let mut p_plus_nine = [0xff; KEY_LEN];
        p_plus_nine[0] = 0xf6;
        p_plus_nine[31] = 0x7f;
        let mut high_bit = *PUBLIC.parse::<PublicKey>().expect("valid").as_bytes();
        high_bit[31] |= 0x80;
        for bytes in [[0; KEY_LEN], one, p_plus_nine, high_bit] {
            assert_eq!(PublicKey::try_from(bytes), Err(KeyError::LowOrder), "{bytes:x?}");
        }
    }

    #[test]
    fn low_order_points_listed_have_no_contribution() {
        // Any clamped scalar maps such a point to zero (RFC 7748, section 6.1).
        let secret = StaticSecret::from([1; KEY_LEN]);
        let contributes =
            |bytes: [u8; KEY_LEN]| secret.diffie_hellman(&x25519_dalek::PublicKey::from(bytes)).was_contributory();
        for point in LOW_ORDER {
            assert!(is_canonical(&point) && !contributes(point), "{point:x?}");
            assert_eq!(PublicKey::try_from(point), Err(KeyError::LowOrder));
            let mut neighbour = point;
            neighbour[5] ^= 1;
            assert!(contributes(neighbour) && PublicKey::try_from(neighbour).is_ok(), "{neighbour:x?}");
        }
    }

    #[test]
    fn private_key_of_zero_is_refused_and_others_are_redacted() {
        assert_eq!(PrivateKey::try_from([0; KEY_LEN]).err(), Some(KeyError::Zero));
        let key = PrivateKey::generate(&SystemRandom::new()).expect("random numbers");
        assert_eq!(format!("{key:?}"), "[redacted]");
        assert_eq!(key.expose()[0] & 7, 0, "clamped");
    }
}
