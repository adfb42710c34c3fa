//! Unplanned faults: worker and server die, Redis is emptied, at any moment. Nothing that was accepted is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use reqwest::Method;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use uncloud_testkit::{
    process::Process,
    provider::{ApiClient, Provider, Response},
    random::Random,
    wait::wait_until,
    world::{self, VPN_HOST, World},
};
use uncloud_wire::key::PrivateKey;

const REQUESTS: usize = 200;
const CUSTOMERS: [&str; 4] = ["nico", "sami", "bala", "jason"];
/// Concurrent connections of each.
const CLIENTS_EACH: usize = 2;
/// The number of times that each of the three faults happens.
const FAULTS_EACH: usize = 4;
/// Of so many networks one is deleted again.
const DELETED: u64 = 5;
/// Leases, sweep and backoff are over long before; what is not in order by then never will be.
const SETTLED: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Copy)]
enum Fault {
    KillWorker,
    KillServer,
    EmptyRedis,
}

/// Faults, each with the number of requests after which it happens and a wait on top; the same seed, the same faults.
fn plan(random: &mut Random) -> Vec<(usize, Duration, Fault)> {
    let kinds = [Fault::KillWorker, Fault::KillServer, Fault::EmptyRedis];
    let mut plan = Vec::new();
    for fault in kinds.iter().flat_map(|kind| [*kind; FAULTS_EACH]) {
        let wait = random.millis(0, 50);
        plan.push((random.below(REQUESTS), wait, fault));
    }
    plan.sort_by_key(|(after, ..)| *after);
    plan
}

fn seed() -> u64 {
    if let Ok(seed) = env::var("UNCLOUD_TEST_SEED") {
        return seed.parse().expect("UNCLOUD_TEST_SEED is a number");
    }
    let mut bytes = [0; 4];
    SystemRandom::new().fill(&mut bytes).expect("random numbers");
    u32::from_le_bytes(bytes).into()
}

/// The outcomes of requests that the clients know.
#[derive(Default)]
struct Known {
    /// Requests sent, answered or not.
    sent: AtomicUsize,
    /// Keys and ids of networks that were accepted and not deleted.
    kept: Mutex<BTreeMap<String, i64>>,
    /// Ids of networks whose deletion was accepted.
    deleted: Mutex<BTreeSet<i64>>,
}

/// Asks until a server responds: a client does not know whether a request that a dying server took was done.
fn insist(api: &ApiClient, method: &Method, path: &str, body: Option<&Value>) -> (Response, bool) {
    let started = Instant::now();
    let mut repeated = false;
    loop {
        match api.request(method.clone(), path, body) {
            // 503: the server is there, but its database is not to be had just now.
            Ok(response) if response.status != 503 => return (response, repeated),
            unanswered => assert!(started.elapsed() < SETTLED, "{method} {path}: {unanswered:?}"),
        }
        repeated = true;
        thread::sleep(Duration::from_millis(20)); // until the server is back
    }
}

/// One client's work: requests networks, and deletes a few.
fn customer(api: &ApiClient, known: &Known, mut random: Random, requests: usize) {
    for _ in 0..requests {
        let key = PrivateKey::generate(&SystemRandom::new()).expect("random numbers").public_key().to_string();
        let body = json!({ "network_size": 48, "wireguard_public_key": key });
        known.sent.fetch_add(1, Ordering::SeqCst);
        let (response, repeated) = insist(api, &Method::POST, "/v1/net/vpn", Some(&body));
        let id = match response.status {
            201 => response.expect(201)["id"].as_i64().expect("an id"),
            // The first try was accepted, but its response did not arrive.
            409 if repeated && response.text.contains("key_in_use") => id_of(api, &key),
            _ => panic!("{response:?}"),
        };
        if random.next().is_multiple_of(DELETED) {
            let path = format!("/v1/net/vpn/{id}");
            let (response, repeated) = insist(api, &Method::DELETE, &path, None);
            assert!(response.status == 202 || (repeated && response.status == 404), "{response:?}");
            known.deleted.lock().expect("no panic").insert(id);
        } else {
            known.kept.lock().expect("no panic").insert(key, id);
        }
    }
}

/// All networks of a customer, page by page.
fn networks(api: &ApiClient) -> Vec<Value> {
    let (mut networks, mut cursor) = (Vec::new(), String::new());
    loop {
        let (response, _) = insist(api, &Method::GET, &format!("/v1/net/vpn?limit=50{cursor}"), None);
        let page = response.expect(200);
        networks.extend(page["items"].as_array().expect("a list").iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return networks,
        }
    }
}

fn id_of(api: &ApiClient, key: &str) -> i64 {
    let networks = networks(api);
    let network = networks.iter().find(|network| network["wireguard_public_key"] == key);
    network.and_then(|network| network["id"].as_i64()).unwrap_or_else(|| panic!("no network has the key {key}"))
}

/// Lets the faults happen while the clients work.
fn haunt(
    world: &World,
    provider: &mut Provider,
    mut worker: Process,
    state_dir: &Path,
    random: &mut Random,
    known: &Known,
) -> Process {
    let redis = redis::Client::open(provider.redis_url()).expect("a URL");
    for (after, wait, fault) in plan(random) {
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
        eprintln!("{fault:?} after {} requests", known.sent.load(Ordering::SeqCst));
    }
    worker
}

/// Prefix by key, as the host has it.
fn on_the_host(world: &World) -> BTreeMap<String, String> {
    let shown = world.sh_in(VPN_HOST, "wg show wg-1 allowed-ips 2>/dev/null || true");
    let line = |line: &str| line.split_once('\t').map(|(key, prefix)| (key.to_owned(), prefix.to_owned()));
    shown.lines().map(|text| line(text).unwrap_or_else(|| panic!("{text}"))).collect()
}

/// Prefix by key as the database has it, and how many networks it still has to get rid of.
fn in_the_database(provider: &Provider) -> (BTreeMap<String, String>, usize) {
    let rows: Vec<(String, String, bool)> = provider.runtime.block_on(async {
        let mut connection = PgConnection::connect(&provider.database_url()).await.expect("PostgreSQL");
        let query = "select encode(public_key, 'base64'), text(network), deleting from vpn_network";
        sqlx::query_as(query).fetch_all(&mut connection).await.expect("rows")
    });
    let (deleting, kept): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(.., deleting)| *deleting);
    let (networks, deleting) = (kept.len(), deleting.len());
    let by_key: BTreeMap<_, _> = kept.into_iter().map(|(key, network, _)| (key, network)).collect();
    assert_eq!(by_key.len(), networks, "a key has one network");
    (by_key, deleting)
}

/// Every network of every customer: status by id.
fn statuses(provider: &Provider) -> BTreeMap<i64, String> {
    let mut all = BTreeMap::new();
    for customer in CUSTOMERS {
        for network in networks(&provider.api(customer)) {
            let status = network["status"].as_str().expect("text").to_owned();
            all.insert(network["id"].as_i64().expect("an id"), status);
        }
    }
    all
}

#[test]
fn accepted_requests_with_process_kills_and_redis_flushes_are_kept() {
    world::run(0, |world| {
        let seed = seed();
        eprintln!("UNCLOUD_TEST_SEED={seed}");
        let mut random = Random::new(seed);
        let mut provider = Provider::start(&CUSTOMERS);
        let state_dir = tempfile::tempdir().expect("state folder");
        let worker = provider.worker(world, state_dir.path());
        let staff = provider.api("admin");
        staff.create_pool();
        staff.raise_quotas();
        let known = Known::default();
        let clients: Vec<(ApiClient, Random)> = CUSTOMERS
            .iter()
            .flat_map(|user| [*user; CLIENTS_EACH])
            .map(|user| (provider.api(user), Random::new(random.next())))
            .collect();
        let each = REQUESTS / clients.len();
        let started = Instant::now();
        let _worker = thread::scope(|scope| {
            for (api, random) in clients {
                let known = &known;
                scope.spawn(move || customer(&api, known, random, each));
            }
            haunt(world, &mut provider, worker, state_dir.path(), &mut random, &known)
        });
        eprintln!("all answered after {:?}", started.elapsed());
        let (kept, deleted) =
            (known.kept.into_inner().expect("no panic"), known.deleted.into_inner().expect("no panic"));
        assert_eq!(kept.len() + deleted.len(), REQUESTS, "each request has a network of its own");

        let settling = Instant::now();
        let wanted: BTreeMap<i64, String> = kept.values().map(|id| (*id, "active".to_owned())).collect();
        let mut shown = statuses(&provider);
        while shown != wanted {
            let different: Vec<_> = shown.iter().filter(|(id, status)| wanted.get(id) != Some(status)).collect();
            assert!(settling.elapsed() < SETTLED, "not settled (of {}): {different:?}", shown.len());
            thread::sleep(Duration::from_millis(100));
            shown = statuses(&provider);
        }
        eprintln!("settled after {:?}", settling.elapsed());
        let (rows, deleting) = in_the_database(&provider);
        assert_eq!(deleting, 0, "what the API does not show is gone");
        assert_eq!(rows.keys().collect::<Vec<_>>(), kept.keys().collect::<Vec<_>>());
        assert_eq!(rows.values().collect::<BTreeSet<_>>().len(), rows.len(), "no prefix twice");
        assert_eq!(on_the_host(world), rows, "wg show equals the database");
        let pool = provider.api("admin").get("/v1/admin/vpnpool/1").expect(200);
        assert_eq!(pool["used"], rows.len(), "{pool}");
    });
}
