//! A customer who creates networks, changes keys and deletes, and remembers what was promised.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    cluster::Cluster,
    plan::{HOSTS, SERVERS, SETTLES},
};
use crate::{
    fixtures::new_key,
    provider::{ApiClient, Response},
    random::Random,
};

/// The most networks that a customer has at a time.
const MOST: usize = 30;

/// A customer. What it knows is shared with the checks.
pub(super) struct Customer {
    apis: [ApiClient; SERVERS],
    random: Mutex<Random>,
    /// The ids of its networks by key.
    kept: Mutex<BTreeMap<String, i64>>,
    requests: Mutex<BTreeMap<&'static str, usize>>,
}

impl Customer {
    pub(super) fn new(cluster: &Cluster<'_>, user: &str, seed: u64) -> Self {
        Self {
            apis: std::array::from_fn(|server| cluster.api(server, user)),
            random: Mutex::new(Random::new(seed)),
            kept: Mutex::default(),
            requests: Mutex::default(),
        }
    }

    pub(super) fn kept(&self) -> BTreeMap<String, i64> {
        self.kept.lock().expect("no panic").clone()
    }

    pub(super) fn requests(&self) -> BTreeMap<&'static str, usize> {
        self.requests.lock().expect("no panic").clone()
    }

    /// Makes one request, as its random numbers have it.
    pub(super) fn act(&self) {
        let random = &mut self.random.lock().expect("no panic");
        let kept = self.kept();
        let chosen = if kept.is_empty() { None } else { kept.iter().nth(random.below(kept.len())) };
        let kind = match (random.below(10), chosen) {
            (0..=2, Some((key, id))) => self.delete(random, key, *id),
            (3..=4, Some((key, id))) => self.change_key(random, key, *id),
            (_, Some((key, id))) if kept.len() >= MOST => self.delete(random, key, *id),
            _ => self.create(random),
        };
        *self.requests.lock().expect("no panic").entry(kind).or_default() += 1;
        thread::sleep(Duration::from_millis(u64::try_from(random.below(60)).expect("small")));
    }

    fn create(&self, random: &mut Random) -> &'static str {
        let (key, size) = (new_key().to_string(), HOSTS[random.below(HOSTS.len())].3);
        let body = json!({ "network_size": size, "wireguard_public_key": key });
        let (response, repeated) = self.insist(random, &Method::POST, "/v1/net/vpn", Some(&body));
        // Of a request that was repeated the first try may have been accepted, though its response did not arrive.
        let accepted = |random: &mut Random| if repeated { self.find(random, &key) } else { None };
        let id = match response.status {
            201 => response.expect(201)["id"].as_i64(),
            409 if response.text.contains("key_in_use") => accepted(random),
            // What is deleted stays taken while its host is silent; until then there may be nothing left.
            409 if response.text.contains("pool_exhausted") => match accepted(random) {
                None => return "create, all taken",
                id => id,
            },
            _ => None,
        };
        let id = id.unwrap_or_else(|| panic!("{response:?}"));
        self.kept.lock().expect("no panic").insert(key, id);
        "create"
    }

    fn delete(&self, random: &mut Random, key: &str, id: i64) -> &'static str {
        let (response, repeated) = self.insist(random, &Method::DELETE, &format!("/v1/net/vpn/{id}"), None);
        assert!(response.status == 202 || (repeated && response.status == 404), "{response:?}");
        self.kept.lock().expect("no panic").remove(key);
        "delete"
    }

    fn change_key(&self, random: &mut Random, key: &str, id: i64) -> &'static str {
        let new = new_key().to_string();
        let body = json!({ "wireguard_public_key": new });
        let (response, _) = self.insist(random, &Method::PATCH, &format!("/v1/net/vpn/{id}"), Some(&body));
        assert_eq!(response.expect(200)["wireguard_public_key"], new.as_str());
        let mut kept = self.kept.lock().expect("no panic");
        kept.remove(key);
        kept.insert(new, id);
        "change key"
    }

    /// Sends a request to one server or the other until one responds; true when it was sent more than once.
    fn insist(&self, random: &mut Random, method: &Method, path: &str, body: Option<&Value>) -> (Response, bool) {
        let started = Instant::now();
        let mut repeated = false;
        loop {
            match self.apis[random.below(SERVERS)].request(method.clone(), path, body) {
                // 503: the server is there, but its database is not to be had just now.
                Ok(response) if response.status != 503 => return (response, repeated),
                failed => assert!(started.elapsed() < SETTLES, "{method} {path}: {failed:?}"),
            }
            repeated = true;
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the id of the network with a key, if there is one.
    fn find(&self, random: &mut Random, key: &str) -> Option<i64> {
        let mut cursor = String::new();
        loop {
            let (response, _) = self.insist(random, &Method::GET, &format!("/v1/net/vpn?limit=100{cursor}"), None);
            let page = response.expect(200);
            let networks = page["items"].as_array().expect("a list");
            if let Some(network) = networks.iter().find(|network| network["wireguard_public_key"] == key) {
                return network["id"].as_i64();
            }
            cursor = format!("&cursor={}", page["next"].as_str()?);
        }
    }
}
