//! Values that most tests use.

use ring::rand::SystemRandom;
use uncloud_wire::key::{PrivateKey, PublicKey};

/// The host that serves the tests' pools, and the name of its queue.
pub const HOST: &str = "vpn-1.example.ch";

/// The password of every user that the kit creates.
pub const PASSWORD: &str = "correct horse battery";

/// A valid `UNCLOUD_SECRET_KEY`.
pub const SECRET_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Generates a WireGuard key pair and returns the public half.
pub fn new_key() -> PublicKey {
    PrivateKey::generate(&SystemRandom::new()).expect("random numbers").public_key()
}
