//! Checking a name and password; tokens are checked in `bearer`.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use ring::{hmac, rand::SystemRandom};
use sqlx::PgPool;
use tokio::sync::{Semaphore, SemaphorePermit};
use uncloud_wire::Secret;

use super::{
    db,
    ldap::Directory,
    memory::Memory,
    password,
    throttle::{Attempt, Key, Throttle, Verdict},
    turns::Turns,
};
use crate::{
    error::Error,
    http::Scopes,
    user::{User, Username},
};

/// A changed password, a locked or a removed user counts after this long at the latest.
const REMEMBER: Duration = Duration::from_secs(45);
/// Local passwords checked at the same time; each takes 19 MiB and a processor.
const CONCURRENT_LOCAL: usize = 2;
/// Logins asked of the directory at the same time; each has a connection.
const CONCURRENT_DIRECTORY: usize = 16;
/// A request waits so long for others' logins before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(5);

/// How users prove who they are.
#[derive(Debug, Clone)]
pub struct AccountSettings {
    /// Vouches for everybody who has no local password.
    pub directory: Option<Arc<Directory>>,
    /// How long a right password is not asked about again.
    pub remember: Duration,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self { directory: None, remember: REMEMBER }
    }
}

/// Answers who is asking: first from memory, then from the local password, else from the directory.
pub struct Authenticator {
    pub(super) pool: PgPool,
    pub(super) directory: Option<Arc<Directory>>,
    key: hmac::Key,
    memory: Memory<User>,
    pub(super) tokens: Memory<(User, Scopes)>,
    throttle: Throttle,
    pub(super) turns: Turns,
    local: Semaphore,
    pub(super) remote: Semaphore,
    /// When the directory failed last: who waited then need not find out again.
    failed: Mutex<Option<Instant>>,
}

fn refused() -> Error {
    Error::Unauthenticated("user name or password is wrong".into())
}

impl Authenticator {
    /// With a key of its own.
    pub fn new(pool: PgPool, settings: AccountSettings) -> Result<Self, ring::error::Unspecified> {
        Ok(Self {
            pool,
            directory: settings.directory,
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?,
            memory: Memory::new(settings.remember),
            tokens: Memory::new(settings.remember),
            throttle: Throttle::default(),
            turns: Turns::default(),
            local: Semaphore::new(CONCURRENT_LOCAL),
            remote: Semaphore::new(CONCURRENT_DIRECTORY),
            failed: Mutex::default(),
        })
    }

    /// The user with this name and password, who asks from `client`. One answer for all that is wrong with them.
    pub async fn authenticate(&self, username: &str, password: Secret<String>, client: IpAddr) -> Result<User, Error> {
        let username: Username = username.parse().map_err(|_| refused())?;
        if !password::is_possible(&password) {
            return Err(refused());
        }
        let attempt = self.attempt(&username, &password, client);
        if let Some(user) = self.known(&attempt)? {
            return Ok(user);
        }
        let arrived = Instant::now();
        let ticket = self.turns.ticket(attempt.pair);
        let _turn = patiently(ticket.lock.lock()).await?;
        if let Some(user) = self.known(&attempt)? {
            return Ok(user); // another request of the same user was here first
        }
        let asked = Instant::now();
        let Some(user) = self.ask(&username, password, &attempt, arrived).await? else {
            self.throttle.wrong(&attempt, Instant::now());
            return Err(refused());
        };
        self.throttle.right(&attempt, Instant::now());
        self.memory.remember(attempt.guess, user.clone(), asked);
        Ok(user)
    }

    /// What memory says: the user, a refusal, or nothing.
    fn known(&self, attempt: &Attempt) -> Result<Option<User>, Error> {
        let now = Instant::now();
        if let Some(verdict) = self.throttle.wait_of_pair(attempt, now) {
            return Err(verdict.into());
        }
        if let Some(user) = self.memory.recall(&attempt.guess) {
            return Ok(Some(user));
        }
        self.throttle.verdict(attempt, now).map_or(Ok(None), |verdict| Err(verdict.into()))
    }

    /// Asks whoever knows: a user with a local password is never asked of the directory, so that this one works
    /// while that is away, and nobody becomes a local user by being of the same name there.
    async fn ask(
        &self,
        username: &Username,
        password: Secret<String>,
        attempt: &Attempt,
        arrived: Instant,
    ) -> Result<Option<User>, Error> {
        let login = db::login(&self.pool, username).await?;
        match (&self.directory, login) {
            (Some(directory), login) if login.as_ref().is_none_or(|login| login.password_hash.is_none()) => {
                self.ask_directory(directory, username, &password, attempt, arrived).await
            }
            (_, login) => {
                let _permit = self.permit(&self.local, attempt).await?;
                // Of a locked one the password is checked all the same: the time it takes tells nothing.
                let locked = login.as_ref().is_some_and(|login| login.locked);
                let (user, hash) = login.map(|login| (login.user, login.password_hash)).unzip();
                let check = move || password::verify(&password, hash.flatten().as_deref());
                let correct =
                    tokio::task::spawn_blocking(check).await.map_err(|error| Error::Internal(error.into()))?;
                Ok(user.filter(|_| correct && !locked))
            }
        }
    }

    async fn ask_directory(
        &self,
        directory: &Arc<Directory>,
        username: &Username,
        password: &Secret<String>,
        attempt: &Attempt,
        arrived: Instant,
    ) -> Result<Option<User>, Error> {
        let _permit = self.permit(&self.remote, attempt).await?;
        let failed = || self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed().is_some_and(|failed| failed > arrived) {
            return Err(Error::Unavailable(anyhow!("the directory failed while this login waited for its turn")));
        }
        let found = directory.login(username, password).await.inspect_err(|_| {
            failed().replace(Instant::now());
        })?;
        match found {
            Some(found) => Ok(db::from_directory(&self.pool, &found).await?),
            None => Ok(None),
        }
    }

    /// Leave to check. While it was waited for, others may have used up what this attempt was still allowed.
    async fn permit<'a>(&self, checks: &'a Semaphore, attempt: &Attempt) -> Result<SemaphorePermit<'a>, Error> {
        let permit = patiently(checks.acquire()).await?.map_err(|closed| Error::Internal(closed.into()))?;
        self.throttle.verdict(attempt, Instant::now()).map_or(Ok(permit), |verdict| Err(verdict.into()))
    }

    fn attempt(&self, username: &Username, password: &Secret<String>, client: IpAddr) -> Attempt {
        let (name, address) = (username.as_str(), network_of(client).to_string());
        Attempt {
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
            context.update(&[0]); // only a password, which comes last, can contain it
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
            // Rounded up: who comes back then is not too early again.
            Verdict::Wait(left) => {
                Self::TooMany { retry_after_secs: left.as_secs() + u64::from(left.subsec_nanos() > 0) }
            }
        }
    }
}

pub(super) async fn patiently<T>(turn: impl Future<Output = T>) -> Result<T, Error> {
    let busy = |_| Error::Unavailable(anyhow!("more logins wait than can be checked in {PATIENCE:?}"));
    tokio::time::timeout(PATIENCE, turn).await.map_err(busy)
}

/// One customer usually has a whole /64, so that is what counts as an address in IPv6.
pub(crate) fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_whole_prefix_has_one_address() {
        let network = |text: &str| network_of(text.parse().expect("an address")).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn nobody_is_told_to_come_too_early() {
        let after = |left| match Error::from(Verdict::Wait(left)) {
            Error::TooMany { retry_after_secs } => retry_after_secs,
            other => panic!("{other:?}"),
        };
        assert_eq!(after(Duration::from_millis(1)), 1);
        assert_eq!(after(Duration::from_secs(2)), 2);
        assert_eq!(after(Duration::from_millis(59_001)), 60);
    }
}
