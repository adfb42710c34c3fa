//! Checking a name and password, and remembering for a short while that they were right.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use ring::{hmac, rand::SystemRandom};
use sqlx::PgPool;
use tokio::sync::Semaphore;

use super::{User, Username, db, password};
use crate::{error::Error, secret::Secret};

/// A changed password or a removed user counts after this long at the latest.
const REMEMBER: Duration = Duration::from_secs(45);
/// Then those that are over are dropped.
const MAX_REMEMBERED: usize = 10_000;
/// Passwords checked at the same time; each takes 19 MiB and a processor.
const CONCURRENT_CHECKS: usize = 2;

/// Answers who is asking. Argon2 is slow by design, so a right answer is remembered under a keyed hash of name
/// and password: what is in memory tells neither.
pub struct Authenticator {
    pool: PgPool,
    key: hmac::Key,
    remembered: Mutex<HashMap<[u8; 32], (User, Instant)>>,
    checks: Semaphore,
}

impl Authenticator {
    /// With a key of its own.
    pub fn new(pool: PgPool) -> Result<Self, ring::error::Unspecified> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?;
        Ok(Self { pool, key, remembered: Mutex::default(), checks: Semaphore::new(CONCURRENT_CHECKS) })
    }

    /// The user with this name and password. One answer for all that is wrong with them.
    pub async fn authenticate(&self, username: &str, password: Secret<String>) -> Result<User, Error> {
        let refused = || Error::Unauthenticated("user name or password is wrong".into());
        let username: Username = username.parse().map_err(|_| refused())?;
        let fingerprint = self.fingerprint(&username, &password);
        if let Some(user) = self.recall(&fingerprint) {
            return Ok(user);
        }
        let _check = self.checks.acquire().await.map_err(|closed| Error::Internal(closed.into()))?;
        if let Some(user) = self.recall(&fingerprint) {
            return Ok(user); // another request of the same user was here first
        }
        let login = db::login(&self.pool, &username).await?;
        let (user, hash) = login.map(|login| (login.user, login.password_hash)).unzip();
        let correct = tokio::task::spawn_blocking(move || password::verify(&password, hash.flatten().as_deref()))
            .await
            .map_err(|error| Error::Internal(error.into()))?;
        let user = user.filter(|_| correct).ok_or_else(refused)?;
        self.remember(fingerprint, user.clone());
        Ok(user)
    }

    fn fingerprint(&self, username: &Username, password: &Secret<String>) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(username.as_str().as_bytes());
        context.update(&[0]); // not part of any user name
        context.update(password.expose().as_bytes());
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.sign().as_ref());
        fingerprint
    }

    fn recall(&self, fingerprint: &[u8; 32]) -> Option<User> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let (user, since) = remembered.get(fingerprint)?;
        (since.elapsed() < REMEMBER).then(|| user.clone())
    }

    fn remember(&self, fingerprint: [u8; 32], user: User) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, (_, since)| since.elapsed() < REMEMBER);
        }
        if remembered.len() < MAX_REMEMBERED {
            remembered.insert(fingerprint, (user, Instant::now()));
        }
    }
}
