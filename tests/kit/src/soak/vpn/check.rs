//! Checks that are made at any time, and those that are made while nothing is under way.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    cluster::Cluster,
    customer::Customer,
    plan::{HOSTS, SETTLES},
};
use crate::command::output;

/// Finds pools whose count of taken prefixes is not the number of their networks, or that have lost or doubled a
/// prefix: each prefix is the server's, taken, freed or never used.
const MISCOUNTED: &str = "select format('pool %s: used %s, networks %s, freed %s, next %s', pool_id, used, taken, freed, next_index)
    from vpn_pool,
        lateral (select count(*) as taken, count(distinct network) as prefixes from vpn_network net where net.pool_id = vpn_pool.pool_id) n,
        lateral (select count(*) as freed from vpn_free_prefix free where free.pool_id = vpn_pool.pool_id) f
    where used <> taken or taken <> prefixes or used + freed <> next_index - 1 or applied_generation > generation";

/// Finds networks that have not reached their host yet, and jobs that have not ended.
const UNSETTLED: &str = "select format('network %s of pool %s: deleting %s, generation %s, applied %s', network_id, pool_id,
        net.deleting, net.generation, applied_generation)
    from vpn_network net join vpn_pool using (pool_id) where net.deleting or net.generation > applied_generation
    union all
    select format('job %s: %s, attempt %s, %s', job_id, state, attempt, error) from job where state in ('queued', 'dispatched', 'running')";

/// Checks in the middle of everything: nothing allocated twice, nothing lost, and no host went back to an older
/// generation.
pub(super) fn always(cluster: &mut Cluster<'_>) {
    let miscounted = cluster.rows::<(String,)>(MISCOUNTED);
    assert!(miscounted.is_empty(), "{miscounted:?}");
    for (host, (hostname, ..)) in HOSTS.into_iter().enumerate() {
        let Some(text) = cluster.state_file(host) else { continue };
        let saved: Value = serde_json::from_str(&text).expect("a state file is whole at any time");
        let generation = saved["desired"]["generation"].as_i64().expect("a generation");
        assert!(
            generation >= cluster.generations[host],
            "{}: {generation} after {}",
            hostname,
            cluster.generations[host]
        );
        cluster.generations[host] = generation;
    }
}

/// Reconciles both hosts, waits, and compares everything with everything, while nothing else happens.
pub(super) fn at_rest(cluster: &mut Cluster<'_>, customers: &[Customer]) -> Duration {
    let started = Instant::now();
    for (hostname, ..) in HOSTS {
        let reconciled = output(cluster.uncloud().args(["vpn", "--hostname", hostname]), "");
        let log = String::from_utf8_lossy(&reconciled.stderr).into_owned();
        assert!(reconciled.status.success(), "{hostname}: {log}");
    }
    loop {
        let unsettled = cluster.rows::<(String,)>(UNSETTLED);
        if unsettled.is_empty() {
            break;
        }
        assert!(started.elapsed() < SETTLES, "does not come to rest: {unsettled:?}");
        thread::sleep(Duration::from_millis(50));
    }
    let took = started.elapsed();
    always(cluster);
    compare(cluster, customers);
    took
}

fn compare(cluster: &Cluster<'_>, customers: &[Customer]) {
    let rows = cluster.rows::<(i64, i64, String, String)>(
        "select pool_id, network_id, encode(public_key, 'base64'), text(network) from vpn_network",
    );
    let promised: BTreeMap<String, i64> = customers.iter().flat_map(Customer::kept).collect();
    let written: BTreeMap<String, i64> = rows.iter().map(|(_, id, key, _)| (key.clone(), *id)).collect();
    assert_eq!(written.len(), rows.len(), "a key has one network");
    assert_eq!(written, promised, "the database has what the customers were promised");
    let prefixes: BTreeSet<&String> = rows.iter().map(|(.., prefix)| prefix).collect();
    assert_eq!(prefixes.len(), rows.len(), "no prefix twice");
    for (host, (hostname, namespace, pool, _)) in HOSTS.into_iter().enumerate() {
        let interface = format!("wg-{}", host + 1);
        let ours = rows.iter().filter(|(pool_id, ..)| usize::try_from(*pool_id) == Ok(host + 1));
        let expected: BTreeMap<String, String> = ours.map(|(.., key, prefix)| (key.clone(), prefix.clone())).collect();
        let configured = cluster.world.sh_in(namespace, &format!("wg show {interface} allowed-ips"));
        let configured: BTreeMap<String, String> = configured
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(key, prefix)| (key.into(), prefix.into()))
            .collect();
        assert_eq!(configured, expected, "{hostname}: `wg show` equals the database");
        let server = pool.replace("::/40", "::1");
        let addresses = cluster.world.sh_in(namespace, &format!("ip -6 -o addr show dev {interface} scope global"));
        assert!(addresses.contains(&format!("{server}/")), "{hostname} has its address: {addresses}");
        let routes = cluster.world.sh_in(namespace, "ip -6 route");
        assert!(routes.contains(&format!("{pool} dev {interface}")), "{hostname} routes its pool: {routes}");
    }
}
