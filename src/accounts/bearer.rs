//! The check of tokens.
//!
//! A token does not bypass the source that confirms its user: when the cache entry expires, the server asks the
//! directory if the user still exists, is not locked, and is staff. The server does not bind as the user, so a lock
//! after wrong passwords, which anyone can cause, blocks the passwords and not the tokens.
//!
//! Wrong tokens are not counted: 256 bits can't be guessed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

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
    request_context,
    user::User,
};

fn refused() -> Error {
    Error::Unauthenticated("the token is wrong, revoked or expired".into())
}

impl Authenticator {
    /// Returns the user of a token, and the token's scopes.
    pub async fn bearer(self: &Arc<Self>, secret: &Secret<String>) -> Result<(User, Scopes), Error> {
        let key: Key = token::hash(secret).ok_or_else(refused)?;
        if let Some(known) = self.tokens.recall(&key) {
            return Ok(known);
        }
        Box::pin(self.check_in_turn(key)).await
    }

    async fn check_in_turn(self: &Arc<Self>, key: Key) -> Result<(User, Scopes), Error> {
        let turn = patiently(self.turns.turn(key)).await?;
        if let Some(known) = self.tokens.recall(&key) {
            return Ok(known); // another request with this token was faster
        }
        let this = Arc::clone(self);
        request_context::to_the_end(async move {
            let _turn = turn;
            this.check_token(key).await
        })
        .await
    }

    async fn check_token(&self, key: Key) -> Result<(User, Scopes), Error> {
        let started = Instant::now();
        let found = token::db::find(&self.pool, &key).await?.ok_or_else(refused)?;
        let scopes = Scopes::new(found.scopes);
        let user = if found.local { found.user } else { self.vouched(&found.user).await?.ok_or_else(refused)? };
        // A staff member needs the token's staff scope to be staff here.
        let user = User { staff: user.staff && scopes.has(Scope::Staff), ..user };
        let left = Duration::try_from_secs_f64(found.left_seconds).unwrap_or_default();
        self.tokens.remember_for(key, (user.clone(), scopes.clone()), started, left);
        Ok((user, scopes))
    }

    /// Returns true if this token was valid a moment ago.
    pub fn remembers_token(&self, secret: &Secret<String>) -> bool {
        token::hash(secret).is_some_and(|key| self.tokens.recall(&key).is_some())
    }

    /// Removes a revoked token from the cache. A request that found it just before has cached it by the time of our
    /// turn.
    pub(super) async fn forget_token(&self, secret_hash: &[u8]) {
        let Ok(key) = Key::try_from(secret_hash) else { return };
        let _turn = self.turns.turn(key).await;
        self.tokens.forget(&key);
    }

    /// Returns the user as the directory confirms it now; none without a directory.
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
