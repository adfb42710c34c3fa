//! The places for connections, in total and by address.

use std::{
    collections::HashMap,
    net::IpAddr,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::limits::Limits;
use crate::http::{network_of, site_of};

/// Counts connections, in total and by address.
pub(super) struct Places {
    free: Arc<Semaphore>,
    of_address: usize,
    of_site: usize,
    patience: Duration,
    open: Arc<Mutex<Open>>,
    /// Notified when a connection has become idle.
    idle: Arc<Notify>,
}

/// The open connections.
#[derive(Default)]
struct Open {
    of_group: HashMap<Group, usize>,
    /// By number; the lowest is the oldest.
    connections: HashMap<u64, Arc<Activity>>,
    last: u64,
}

/// Connections that are counted together.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Group {
    Address(IpAddr),
    Site(IpAddr),
    Proxy(IpAddr),
}

/// A connection's place, held as long as the value lives.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    groups: Vec<Group>,
    number: u64,
    open: Arc<Mutex<Open>>,
    /// The connection's present activity.
    pub activity: Arc<Activity>,
}

/// The present activity of a connection.
pub(super) struct Activity {
    phase: Mutex<Phase>,
    /// Milliseconds for the client to read what is written at once.
    patience: AtomicU64,
    given_up: Notify,
    /// Of all connections: one of them has become idle.
    idle: Arc<Notify>,
}

enum Phase {
    /// It waits for a request since then.
    Idle(Instant),
    /// It works on a request, or on its response.
    Busy,
    /// Its response is on the way to the client.
    Responding,
    /// Its place is needed.
    GivenUp,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        let free = Arc::new(Semaphore::new(limits.connections));
        Self {
            free,
            of_address: limits.of_address,
            of_site: limits.of_site,
            patience: limits.answer,
            open: Arc::default(),
            idle: Arc::default(),
        }
    }

    /// Takes a place for a connection from this address; if all are taken, that of the longest idle connection. None if the
    /// address has as many as it may have.
    pub(super) async fn take(&self, address: IpAddr, is_proxy: bool) -> Option<Place> {
        let groups = if is_proxy {
            vec![(Group::Proxy(address), self.of_site)]
        } else {
            vec![(Group::Address(network_of(address)), self.of_address), (Group::Site(site_of(address)), self.of_site)]
        };
        if groups.iter().any(|(group, most)| lock(&self.open).of_group.get(group).is_some_and(|taken| taken >= most)) {
            return None;
        }
        let mut permit = pin!(Arc::clone(&self.free).acquire_owned());
        let permit = match permit.as_mut().now_or_never() {
            Some(permit) => permit.ok()?,
            None => loop {
                let idle = self.idle.notified();
                if self.give_up_longest_idle() {
                    break permit.await.ok()?;
                }
                // All are busy: the first one to be idle, or to end, makes room.
                tokio::select! {
                    permit = &mut permit => break permit.ok()?,
                    () = idle => {}
                }
            },
        };
        let mut open = lock(&self.open);
        let groups: Vec<Group> = groups.into_iter().map(|(group, _)| group).collect();
        for group in &groups {
            *open.of_group.entry(*group).or_default() += 1;
        }
        open.last += 1;
        let number = open.last;
        let activity = Arc::new(Activity {
            phase: Mutex::new(Phase::Idle(Instant::now())),
            patience: AtomicU64::new(millis(self.patience)),
            given_up: Notify::new(),
            idle: Arc::clone(&self.idle),
        });
        open.connections.insert(number, Arc::clone(&activity));
        drop(open);
        Some(Place { _permit: permit, groups, number, open: Arc::clone(&self.open), activity })
    }

    /// Returns false if no connection is idle.
    fn give_up_longest_idle(&self) -> bool {
        let open = lock(&self.open);
        let idle = open.connections.values().filter_map(|activity| Some((activity.idle_since()?, activity)));
        idle.min_by_key(|(since, _)| *since).is_some_and(|(_, activity)| activity.give_up())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.connections.remove(&self.number);
        for group in &self.groups {
            if let Some(count) = open.of_group.get_mut(group) {
                *count -= 1;
                if *count == 0 {
                    open.of_group.remove(group);
                }
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Activity {
    /// Sets the time limit for the client to read the response that follows.
    pub(super) fn set_patience(&self, patience: Duration) {
        self.patience.store(millis(patience), Ordering::Relaxed);
    }

    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(self.patience.load(Ordering::Relaxed))
    }

    fn idle_since(&self) -> Option<Instant> {
        match *lock(&self.phase) {
            Phase::Idle(since) => Some(since),
            Phase::Busy | Phase::Responding | Phase::GivenUp => None,
        }
    }

    /// Returns false if the connection is not idle any more.
    fn give_up(&self) -> bool {
        let mut phase = lock(&self.phase);
        let is_idle = matches!(*phase, Phase::Idle(_));
        if is_idle {
            *phase = Phase::GivenUp;
            self.given_up.notify_one();
        }
        is_idle
    }

    /// Notes that a request has come; returns false if the connection's place was given up before.
    pub(super) fn begin(&self) -> bool {
        let mut phase = lock(&self.phase);
        let is_ours = !matches!(*phase, Phase::GivenUp);
        if is_ours {
            *phase = Phase::Busy;
        }
        is_ours
    }

    /// Notes that the whole response has been handed over for sending.
    pub(super) fn respond(&self) {
        *lock(&self.phase) = Phase::Responding;
    }

    /// Notes that all is sent that was to be.
    pub(super) fn sent(&self) {
        let mut phase = lock(&self.phase);
        if matches!(*phase, Phase::Responding) {
            *phase = Phase::Idle(Instant::now());
            self.idle.notify_waiters();
        }
    }

    /// Completes when the connection's place was given up.
    pub(super) async fn given_up(&self) {
        self.given_up.notified().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(connections: usize) -> Places {
        Places::new(&Limits { connections, of_address: 2, of_site: 3, ..Limits::default() })
    }

    fn taken(places: &Places, address: &str) -> Option<Place> {
        places.take(address.parse().expect("an address"), false).now_or_never().expect("a place is free")
    }

    #[test]
    fn take_beyond_limit_of_address_or_site_is_refused() {
        let places = places(10);
        let first = [taken(&places, "2001:db8:0:1::1"), taken(&places, "2001:db8:0:1::2")];
        assert!(first.iter().all(Option::is_some));
        assert!(taken(&places, "2001:db8:0:1::3").is_none(), "one /64");
        let third = taken(&places, "2001:db8:0:2::1");
        assert!(third.is_some());
        assert!(taken(&places, "2001:db8:0:3::1").is_none(), "one /48");
        assert!(taken(&places, "2001:db8:1:1::1").is_some() && taken(&places, "192.0.2.1").is_some());
        drop(third);
        assert!(taken(&places, "2001:db8:0:3::1").is_some());
        let proxy = "192.0.2.9".parse().expect("an address");
        let of_proxy: Vec<_> = (0..4).map(|_| places.take(proxy, true).now_or_never().expect("at once")).collect();
        assert_eq!(of_proxy.iter().flatten().count(), 3, "one proxy");
    }

    #[test]
    fn take_without_free_place_gives_up_the_longest_idle_connection() {
        let places = places(2);
        let (busy, idle) = (taken(&places, "192.0.2.1").expect("first"), taken(&places, "192.0.2.2").expect("second"));
        assert!(busy.activity.begin());
        let mut third = Box::pin(places.take("192.0.2.3".parse().expect("an address"), false));
        assert!(third.as_mut().now_or_never().is_none());
        assert!(busy.activity.given_up().now_or_never().is_none());
        assert!(idle.activity.given_up().now_or_never().is_some());
        assert!(!idle.activity.begin(), "a request that comes now is too late");
        drop(idle);
        let third = third.now_or_never().flatten().expect("its place");
        assert!(third.activity.begin());
        let mut fourth = Box::pin(places.take("192.0.2.4".parse().expect("an address"), false));
        assert!(fourth.as_mut().now_or_never().is_none(), "all are busy");
        third.activity.respond();
        assert!(fourth.as_mut().now_or_never().is_none(), "a client that still reads is busy");
        third.activity.sent();
        assert!(fourth.as_mut().now_or_never().is_none());
        assert!(third.activity.given_up().now_or_never().is_some(), "it has become idle");
        drop(third);
        assert!(fourth.now_or_never().flatten().is_some());
    }
}
