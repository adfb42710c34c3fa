//! Checking a token.
//!
//! A token is no way around whoever vouches for its user: when memory ends, the directory is asked whether the user is
//! still there, not locked, and staff. It is not asked as the user, so a lock after wrong passwords, which anybody can
//! bring about, stops the passwords and not the tokens.
//!
//! Wrong tokens are not counted: there is nothing to guess in 256 bits.

use std::time::{Duration, Instant};

use uncloud_wire::Secret;

use super::{
    credentials::{Authenticator, patiently},
    db,
    throttle::Key,
    token,
};
use crate::{
    error::Error,
    http::{Scope, Scopes},
    user::User,
};

fn refused() -> Error {
    Error::Unauthenticated("the token is wrong, was revoked or has ended".into())
}

impl Authenticator {
    /// The user of a token, and what the token is good for.
    pub async fn bearer(&self, secret: &Secret<String>) -> Result<(User, Scopes), Error> {
        let key: Key = token::hash(secret).ok_or_else(refused)?;
        if let Some(known) = self.tokens.recall(&key) {
            return Ok(known);
        }
        let ticket = self.turns.ticket(key);
        let _turn = patiently(ticket.lock.lock()).await?;
        if let Some(known) = self.tokens.recall(&key) {
            return Ok(known); // another request with this token was here first
        }
        let asked = Instant::now();
        let found = token::db::find(&self.pool, &key).await?.ok_or_else(refused)?;
        let scopes = Scopes::new(found.scopes);
        let user = if found.local { found.user } else { self.vouched(&found.user).await?.ok_or_else(refused)? };
        // Whoever is staff must also be here as such.
        let user = User { staff: user.staff && scopes.has(Scope::Staff), ..user };
        let left = Duration::try_from_secs_f64(found.left_secs).unwrap_or_default();
        self.tokens.remember_for(key, (user.clone(), scopes.clone()), asked, left);
        Ok((user, scopes))
    }

    /// Whether this token was right a moment ago.
    pub fn remembers_token(&self, secret: &Secret<String>) -> bool {
        token::hash(secret).is_some_and(|key| self.tokens.recall(&key).is_some())
    }

    /// A revoked token is out at once: whoever found it just before has remembered it when it is our turn.
    pub(super) async fn forget_token(&self, secret_hash: &[u8]) {
        let Ok(key) = Key::try_from(secret_hash) else { return };
        let ticket = self.turns.ticket(key);
        let _turn = ticket.lock.lock().await;
        self.tokens.forget(&key);
    }

    /// What the directory says about its user now; without one nobody vouches.
    async fn vouched(&self, user: &User) -> Result<Option<User>, Error> {
        let Some(directory) = &self.directory else { return Ok(None) };
        let username = user.username.parse().map_err(anyhow::Error::new)?;
        let _permit = patiently(self.remote.acquire()).await?.map_err(|closed| Error::Internal(closed.into()))?;
        match directory.look_up(&username).await?.filter(|found| found.username == username) {
            Some(found) => Ok(db::from_directory(&self.pool, &found).await?),
            None => Ok(None),
        }
    }
}
