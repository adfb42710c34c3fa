//! What nobody plans: worker and server die, Redis is emptied, at any moment. Nothing that was accepted gets lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use reqwest::Method;
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use uncloud::vpn::key::PrivateKey;

use crate::{
    process::Process,
    provider::{Answer, Api, Provider},
    world::{VPN_HOST, World, wait_until},
};

const REQUESTS: usize = 200;
const CUSTOMERS: [&str; 4] = ["nico", "sami", "bala", "jason"];
/// Concurrent connections of each.
const CLIENTS_EACH: usize = 2;
/// How often each of the three faults happens.
const FAULTS_EACH: usize = 4;
/// Of so many networks one is deleted again.
const DELETED: u64 = 5;
/// Leases, sweep and backoff are over long before; what is not in order by then never will be.
const SETTLED: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
enum Fault {
    KillWorker,
    KillServer,
    EmptyRedis,
}

/// splitmix64: the same seed, the same faults after the same requests.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("small");
        usize::try_from(self.next() % limit).expect("small")
    }

    /// Faults, each with the number of requests after which it happens and a wait on top.
    fn plan(&mut self) -> Vec<(usize, Duration, Fault)> {
        let kinds = [Fault::KillWorker, Fault::KillServer, Fault::EmptyRedis];
        let mut plan = Vec::new();
        for fault in kinds.iter().flat_map(|kind| [*kind; FAULTS_EACH]) {
            let wait = Duration::from_millis(u64::try_from(self.below(50)).expect("small"));
            plan.push((self.below(REQUESTS), wait, fault));
        }
        plan.sort_by_key(|(after, ..)| *after);
        plan
    }
}

fn seed() -> u64 {
    match env::var("UNCLOUD_TEST_SEED") {
        Ok(seed) => seed.parse().expect("UNCLOUD_TEST_SEED is a number"),
        Err(_) => u64::from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").subsec_nanos()),
    }
}

/// What the clients know of their requests.
#[derive(Default)]
struct Known {
    /// Requests sent, answered or not.
    sent: AtomicUsize,
    /// Keys and ids of networks that were accepted and not deleted.
    kept: Mutex<BTreeMap<String, i64>>,
    /// Ids of networks whose deletion was accepted.
    deleted: Mutex<BTreeSet<i64>>,
}

/// Asks until somebody answers: a client does not know whether a request that a dying server took was done.
fn insist(api: &Api, method: &Method, path: &str, body: Option<&Value>) -> (Answer, bool) {
    let started = Instant::now();
    let mut repeated = false;
    loop {
        match api.request(method.clone(), path, body) {
            // 503: the server is there, but its database is not to be had just now.
            Ok(answer) if answer.status != 503 => return (answer, repeated),
            unanswered => assert!(started.elapsed() < SETTLED, "{method} {path}: {unanswered:?}"),
        }
        repeated = true;
        thread::sleep(Duration::from_millis(20)); // until the server is back
    }
}

/// One client's work: requests networks, and deletes a few.
fn customer(api: &Api, known: &Known, mut random: Random, requests: usize) {
    for _ in 0..requests {
        let key = PrivateKey::generate(&SystemRandom::new()).expect("random numbers").public_key().to_string();
        let body = json!({ "network_size": 48, "wireguard_public_key": key });
        known.sent.fetch_add(1, Ordering::SeqCst);
        let (answer, repeated) = insist(api, &Method::POST, "/v1/net/vpn", Some(&body));
        let id = match answer.status {
            201 => answer.expect(201)["id"].as_i64().expect("an id"),
            // The first try was accepted, but its answer did not arrive.
            409 if repeated && answer.text.contains("key_in_use") => id_of(api, &key),
            _ => panic!("{answer:?}"),
        };
        if random.next() % DELETED == 0 {
            let path = format!("/v1/net/vpn/{id}");
            let (answer, repeated) = insist(api, &Method::DELETE, &path, None);
            assert!(answer.status == 202 || (repeated && answer.status == 404), "{answer:?}");
            known.deleted.lock().expect("no panic").insert(id);
        } else {
            known.kept.lock().expect("no panic").insert(key, id);
        }
    }
}

fn id_of(api: &Api, key: &str) -> i64 {
    let (answer, _) = insist(api, &Method::GET, "/v1/net/vpn", None);
    let networks = answer.expect(200);
    let network = networks.as_array().expect("a list").iter().find(|network| network["wireguard_public_key"] == key);
    network.and_then(|network| network["id"].as_i64()).unwrap_or_else(|| panic!("no network has the key {key}"))
}

/// Lets the faults happen while the clients work.
fn haunt(world: &World, provider: &mut Provider, mut worker: Process, random: &mut Random, known: &Known) -> Process {
    let state_dir = worker_state_dir();
    let redis = redis::Client::open(provider.redis_url()).expect("a URL");
    for (after, wait, fault) in random.plan() {
        wait_until("the clients go on", || known.sent.load(Ordering::SeqCst) > after);
        thread::sleep(wait);
        match fault {
            Fault::KillWorker => {
                worker.kill();
                worker = provider.worker(world, state_dir);
            }
            Fault::KillServer => {
                provider.kill_server();
                provider.start_server();
            }
            Fault::EmptyRedis => {
                let mut connection = redis.get_connection().expect("Redis");
                redis::cmd("FLUSHALL").exec(&mut connection).expect("emptied");
            }
        }
        eprintln!("{:?} {fault:?} after {} requests", wait, known.sent.load(Ordering::SeqCst));
    }
    worker
}
