//! The check of names and passwords; `bearer` checks tokens.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use ring::{hmac, rand::SystemRandom};
use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uncloud_wire::Secret;

use super::{
    credential_cache::CredentialCache,
    db,
    ldap::Directory,
    login_name::LoginName,
    password::{self, NewPassword},
    single_flight::SingleFlight,
    throttle::{Key, LoginAttempt, Throttle, Verdict},
};
use crate::{
    error::Error,
    http::{Scopes, network_of},
    request_context,
    user::User,
};

/// The time after which a changed password or a locked or removed user takes effect at the latest.
const REMEMBER: Duration = Duration::from_secs(45);
/// The number of local passwords that are checked at the same time; each takes 19 MiB and a processor.
const CONCURRENT_LOCAL: usize = 2;
/// The number of logins that the directory checks at the same time; each has a connection.
const CONCURRENT_DIRECTORY: usize = 16;
/// The time that a request waits for other logins before the server tells its client to retry.
const PATIENCE: Duration = Duration::from_secs(5);

/// The settings of the authentication of users.
#[derive(Debug, Clone)]
pub struct AccountSettings {
    /// The directory that authenticates all users without a local password.
    pub directory: Option<Arc<Directory>>,
    /// The time for which a right password is cached.
    pub remember: Duration,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self { directory: None, remember: REMEMBER }
    }
}

/// Authenticates users: from the cache, else with the local password, else with the directory.
pub struct Authenticator {
    pub(super) pool: PgPool,
    pub(super) directory: Option<Arc<Directory>>,
    key: hmac::Key,
    memory: CredentialCache<User>,
    pub(super) tokens: CredentialCache<(User, Scopes)>,
    throttle: Throttle,
    pub(super) turns: SingleFlight,
    local: Arc<Semaphore>,
    pub(super) remote: Arc<Semaphore>,
    /// The time that the last check of a local password took, for each form of it.
    local_took: Mutex<Option<Duration>>,
    /// The time of the directory's last failure, so that logins which waited then need not try again.
    failed: Mutex<Option<Instant>>,
}

/// The source that confirms a user.
enum Source {
    /// The users' rows; none if no user has the name.
    Local(Option<db::Login>),
    Directory(Arc<Directory>),
}

fn refused() -> Error {
    Error::Unauthenticated("user name or password is wrong".into())
}

impl Authenticator {
    /// Creates an authenticator with a random key.
    pub fn new(pool: PgPool, settings: AccountSettings) -> Result<Self, ring::error::Unspecified> {
        Ok(Self {
            pool,
            directory: settings.directory,
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?,
            memory: CredentialCache::new(settings.remember),
            tokens: CredentialCache::new(settings.remember),
            throttle: Throttle::default(),
            turns: SingleFlight::default(),
            local: Arc::new(Semaphore::new(CONCURRENT_LOCAL)),
            remote: Arc::new(Semaphore::new(CONCURRENT_DIRECTORY)),
            local_took: Mutex::default(),
            failed: Mutex::default(),
        })
    }

    /// Returns the user with this name and password, for a request from `client`. All wrong credentials get the same
    /// error.
    ///
    /// A caller that hangs up while it waits has cost nothing; a check that has begun goes on to its end, with its turn
    /// and its permit, and is counted.
    pub async fn authenticate(
        self: &Arc<Self>,
        username: &str,
        password: Secret<String>,
        client: IpAddr,
    ) -> Result<User, Error> {
        let name = LoginName::new(username).ok_or_else(refused)?;
        if !password::is_possible(&password) {
            return Err(refused());
        }
        let attempt = self.attempt(&name, &password, client);
        if let Some(user) = self.known(&attempt)? {
            return Ok(user);
        }
        Box::pin(self.check_in_turn_of(name, password, attempt)).await
    }

    async fn check_in_turn_of(
        self: &Arc<Self>,
        name: LoginName,
        password: Secret<String>,
        attempt: LoginAttempt,
    ) -> Result<User, Error> {
        let arrived = Instant::now();
        let turn = patiently(self.turns.turn(attempt.pair)).await?;
        if let Some(user) = self.known(&attempt)? {
            return Ok(user); // another request of the same user was faster
        }
        let started = Instant::now();
        let source = self.source(&name).await?;
        let permit = self.permit(&source, &attempt).await?;
        let this = Arc::clone(self);
        let check = async move {
            let _held = (turn, permit);
            let Some(user) = this.check(source, &name, password, arrived).await? else {
                this.throttle.wrong(&attempt, Instant::now());
                return Err(refused());
            };
            this.throttle.right(&attempt, Instant::now());
            this.memory.remember(attempt.guess, user.clone(), started);
            Ok(user)
        };
        request_context::to_the_end(check).await
    }

    /// Hashes a user's new password, as one of the local passwords that are checked at the same time; none for a user
    /// without a local password.
    pub(super) async fn hash(&self, user: &User, password: NewPassword) -> Result<Option<String>, Error> {
        let username = user.username.parse().map_err(anyhow::Error::new)?;
        if db::login(&self.pool, &username).await?.is_none_or(|login| login.password_hash.is_none()) {
            return Ok(None);
        }
        let _permit = acquire(&self.local).await?;
        let hashed = tokio::task::spawn_blocking(move || password.hash()).await;
        Ok(Some(hashed.map_err(anyhow::Error::new)??))
    }

    /// Drops what is cached of a user's password and tokens, also by checks in progress, which may have read the old ones.
    pub(super) fn forget_user(&self, user_id: i64) {
        self.memory.forget_all(|user| user.user_id == user_id);
        self.tokens.forget_all(|(user, _)| user.user_id == user_id);
    }

    /// Returns the cached result: the user, a refusal, or none.
    fn known(&self, attempt: &LoginAttempt) -> Result<Option<User>, Error> {
        let now = Instant::now();
        if let Some(verdict) = self.throttle.wait_of_pair(attempt, now) {
            return Err(verdict.into());
        }
        if let Some(user) = self.memory.recall(&attempt.guess) {
            return Ok(Some(user));
        }
        self.throttle.verdict(attempt, now).map_or(Ok(None), |verdict| Err(verdict.into()))
    }

    /// Returns the source that confirms the user. The directory is never queried about a user with a local password, so
    /// that such a user can sign in while the directory is down, and so that a directory user with the same name does not
    /// become the local user.
    async fn source(&self, name: &LoginName) -> Result<Source, Error> {
        let login = match name.username() {
            Some(username) => db::login(&self.pool, &username).await?,
            None => None,
        };
        let is_local = login.as_ref().is_some_and(|login| login.password_hash.is_some());
        Ok(match &self.directory {
            Some(directory) if !is_local => Source::Directory(Arc::clone(directory)),
            _ => Source::Local(login),
        })
    }

    /// Waits for permission to check. Meanwhile other attempts may have used up the attempts that were still allowed.
    async fn permit(&self, source: &Source, attempt: &LoginAttempt) -> Result<OwnedSemaphorePermit, Error> {
        let permit = match source {
            Source::Local(_) => acquire(&self.local).await?,
            Source::Directory(_) => acquire(&self.remote).await?,
        };
        self.throttle.verdict(attempt, Instant::now()).map_or(Ok(permit), |verdict| Err(verdict.into()))
    }

    async fn check(
        &self,
        source: Source,
        name: &LoginName,
        password: Secret<String>,
        arrived: Instant,
    ) -> Result<Option<User>, Error> {
        match source {
            Source::Directory(directory) => {
                let started = Instant::now();
                let found = self.query_directory(&directory, name, &password, arrived).await?;
                if found.is_none() {
                    // A refusal takes as long as that of a local password, so that the time does not reveal who has one.
                    let forms = password::forms(&password).len().try_into().unwrap_or(1);
                    let least = self.time_of_local_check().await? * forms;
                    tokio::time::sleep(least.saturating_sub(started.elapsed())).await;
                }
                Ok(found)
            }
            Source::Local(login) => {
                // Check the password of a locked user all the same, so that the time reveals nothing.
                let locked = login.as_ref().is_some_and(|login| login.locked);
                let (user, hash) = login.map(|login| (login.user, login.password_hash)).unzip();
                let correct = self.verify(password, hash.flatten()).await?;
                Ok(user.filter(|_| correct && !locked))
            }
        }
    }

    async fn verify(&self, password: Secret<String>, hash: Option<String>) -> Result<bool, Error> {
        let check = move || {
            let forms = u32::try_from(password::forms(&password).len()).unwrap_or(1).max(1);
            let started = Instant::now();
            (password::verify(&password, hash.as_deref()), started.elapsed() / forms)
        };
        let checked = tokio::task::spawn_blocking(check).await;
        let (correct, took) = checked.map_err(|error| Error::Internal(error.into()))?;
        self.local_took.lock().unwrap_or_else(PoisonError::into_inner).replace(took);
        Ok(correct)
    }

    /// Returns the time that the last check of a local password took; without one, makes one of nobody's.
    async fn time_of_local_check(&self) -> Result<Duration, Error> {
        let known = || *self.local_took.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(took) = known() {
            return Ok(took);
        }
        let _permit = acquire(&self.local).await?;
        if known().is_none() {
            self.verify(Secret::new("nobody's".to_owned()), None).await?;
        }
        Ok(known().unwrap_or_default())
    }

    async fn query_directory(
        &self,
        directory: &Arc<Directory>,
        name: &LoginName,
        password: &Secret<String>,
        arrived: Instant,
    ) -> Result<Option<User>, Error> {
        let failed = || self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed().is_some_and(|failed| failed > arrived) {
            return Err(Error::Unavailable(anyhow!("the directory failed while this login was queued")));
        }
        let found = directory.login(name, password).await.inspect_err(|_| {
            failed().replace(Instant::now());
        })?;
        match found {
            Some(found) => Ok(db::from_directory(&self.pool, &found).await?),
            None => Ok(None),
        }
    }

    fn attempt(&self, name: &LoginName, password: &Secret<String>, client: IpAddr) -> LoginAttempt {
        let (name, address) = (name.as_str(), network_of(client).to_string());
        LoginAttempt {
            guess: self.fingerprint(&["guess", name, &address, password.expose()]),
            pair: self.fingerprint(&["pair", name, &address]),
            address: self.fingerprint(&["address", &address]),
            user: self.fingerprint(&["user", name]),
        }
    }

    fn fingerprint(&self, parts: &[&str]) -> Key {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(part.as_bytes());
            context.update(&[0]); // only a password can contain it, and comes last
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.sign().as_ref());
        fingerprint
    }
}

impl From<Verdict> for Error {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Wrong => refused(),
            // Round up, so that a client that waits as told is not too early again.
            Verdict::Wait(left) => {
                Self::LoginThrottled { retry_after_seconds: left.as_secs() + u64::from(left.subsec_nanos() > 0) }
            }
        }
    }
}

async fn acquire(checks: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
    patiently(Arc::clone(checks).acquire_owned()).await?.map_err(|closed| Error::Internal(closed.into()))
}

pub(super) async fn patiently<T>(turn: impl Future<Output = T>) -> Result<T, Error> {
    let busy = |_| Error::Unavailable(anyhow!("more logins are waiting than can be checked in {PATIENCE:?}"));
    tokio::time::timeout(PATIENCE, turn).await.map_err(busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_fraction_is_rounded_up() {
        let after = |left| match Error::from(Verdict::Wait(left)) {
            Error::LoginThrottled { retry_after_seconds } => retry_after_seconds,
            other => panic!("{other:?}"),
        };
        assert_eq!(after(Duration::from_millis(1)), 1);
        assert_eq!(after(Duration::from_secs(2)), 2);
        assert_eq!(after(Duration::from_millis(59_001)), 60);
    }
}
