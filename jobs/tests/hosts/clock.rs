//! Hosts whose clocks are wrong: leases, generations and reports must not depend on them.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::Signal;
use uncloud_testkit::{
    command::shift_clock,
    fixtures::new_key,
    process::Process,
    provider::Provider,
    wait::wait_until,
    world::{self, World},
};

/// A worker that takes the time of day for another one, by so many minutes. Time that passes is as it is.
fn worker(provider: &Provider, world: &World, state_dir: &Path, minutes: i64) -> Process {
    let mut command = provider.worker_command(world, state_dir);
    shift_clock(&mut command, &format!("{minutes:+}m"));
    let mut worker = Process::start("uncloud-worker", &mut command);
    worker.wait_for_line("working");
    let logged = worker.stderr();
    let time: DateTime<Utc> = logged.split(' ').next().and_then(|time| time.parse().ok()).expect("a time of day");
    #[expect(clippy::disallowed_methods, reason = "the test's own clock is the right one")]
    let wrong_by = time - Utc::now();
    assert!((wrong_by - TimeDelta::minutes(minutes)).abs() < TimeDelta::minutes(1), "its clock is wrong: {logged}");
    worker
}

#[test]
fn worker_with_wrong_clock_takes_over_lease_and_applies_all_networks() {
    world::run(0, |world| {
        let provider = Provider::start(&["nico"]);
        let (admin, nico) = (provider.api("admin"), provider.api("nico"));
        let state_dir = tempfile::tempdir().expect("state folder");
        let ahead = worker(&provider, world, state_dir.path(), 10);
        admin.job_succeeds(&admin.create_pool());
        let first = nico.becomes_active(&nico.create_network(&new_key()));

        // What the one that is ahead holds, the one that is behind takes over when the lease is over, not before and
        // not ten minutes later.
        ahead.signal(Signal::SIGSTOP);
        let second = nico.create_network(&new_key());
        let behind = worker(&provider, world, state_dir.path(), -10);
        let second = nico.becomes_active(&second);
        ahead.signal(Signal::SIGCONT);
        let third = nico.becomes_active(&nico.create_network(&new_key()));

        let wanted = [&first, &second, &third].map(|network| network["network"].as_str().expect("a prefix").to_owned());
        wait_until("the host has the three", || {
            let shown = world.sh_in(world::VPN_HOST, "wg show wg-1 allowed-ips");
            let mut prefixes: Vec<&str> = shown.lines().filter_map(|line| Some(line.split_once('\t')?.1)).collect();
            prefixes.sort_unstable();
            prefixes == wanted
        });
        for network in [&first, &second, &third] {
            let job = nico.get(&format!("/v1/job/{}", network["job"]["id"])).expect(200);
            let time = |name: &str| job[name].as_str().and_then(|time| time.parse::<DateTime<Utc>>().ok()).expect(name);
            let took = time("finished_at") - time("created_at");
            assert!((TimeDelta::zero()..TimeDelta::minutes(1)).contains(&took), "by the control plane's clock: {job}");
            assert_eq!(job["state"], "succeeded", "{job}");
        }
        drop((ahead, behind));
    });
}
