//! Latency from the 201 response to the peer on the host, one request after the other, on an existing interface.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use uncloud_testkit::{
    command::{clear_env, output},
    fixtures::new_key,
    instance::RunningInstance,
    process::Process,
    programs,
    provider::ApiClient,
    world::{VPN_HOST, World},
};
use uncloud_wire::key::PublicKey;

use super::{machine, pool};
use crate::report::{Report, percentile};

const REQUESTS: usize = 120;
/// Number of requests that warm up connections, caches and the interface.
const WARM_UP: usize = 10;
const GIVE_UP: Duration = Duration::from_secs(20);
const SUDO_HOST: &str = "vpn-sudo.example.ch";

/// Reads what `wg show` reads of a userspace interface, without the cost of starting `wg` for every check.
fn has_peer(interface: &str, key_hex: &str) -> bool {
    let path = format!("/run/wireguard/{interface}.sock");
    let mut text = String::new();
    let reply = UnixStream::connect(path).and_then(|mut stream| {
        stream.write_all(b"get=1\n\n")?;
        let mut buffer = [0; 16384];
        while !text.ends_with("\n\n") {
            match stream.read(&mut buffer)? {
                0 => break,
                count => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
            }
        }
        Ok(())
    });
    reply.is_ok() && text.contains(key_hex)
}

fn hex(key: &PublicKey) -> String {
    key.as_bytes().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

struct Times {
    accepted: Vec<f64>,
    visible: Vec<f64>,
    active: Vec<f64>,
}

/// Requests networks one by one from the first pool with room; `interface` must be that pool's.
fn sequence(staff: &ApiClient, interface: &str) -> Times {
    let mut times = Times { accepted: Vec::new(), visible: Vec::new(), active: Vec::new() };
    for n in 0..REQUESTS + WARM_UP {
        let key = new_key();
        let key_hex = hex(&key);
        let sent = Instant::now();
        let network = staff.create_network(&key);
        let accepted = Instant::now();
        while !has_peer(interface, &key_hex) {
            assert!(accepted.elapsed() < GIVE_UP, "the peer does not appear: {network}");
            thread::sleep(Duration::from_micros(300));
        }
        let visible = accepted.elapsed();
        wait_for_job(staff, &network);
        if n >= WARM_UP {
            let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
            times.accepted.push(millis(accepted - sent));
            times.visible.push(millis(visible));
            times.active.push(millis(accepted.elapsed()));
        }
    }
    times
}

fn wait_for_job(staff: &ApiClient, network: &Value) {
    staff.job_succeeds(network);
}

fn add(report: &mut Report, rights: &str, name: &str, times: &Times, commands: f64) {
    let aim = format!("<= {:.1} ms", 10.0 + commands);
    let note = format!("10 ms + {commands:.1} ms of commands; n = {REQUESTS}");
    let visible = |percent| percentile(&times.visible, percent);
    report.add(
        &format!("{name}_p50_ms"),
        &format!("201 -> peer on the host, {rights}, p50"),
        visible(50),
        "ms",
        &aim,
        &note,
    );
    let peer_p99 = format!("201 -> peer on the host, {rights}, p99");
    report.add(&format!("{name}_p99_ms"), &peer_p99, visible(99), "ms", "", "");
    let response = percentile(&times.accepted, 50);
    report.add(&format!("{name}_answer_p50_ms"), &format!("request -> 201, {rights}, p50"), response, "ms", "", "");
    let active = percentile(&times.active, 50);
    report.add(&format!("{name}_active_p50_ms"), &format!("201 -> job succeeded, {rights}, p50"), active, "ms", "", "");
}

/// Measures with a worker that has the required capability.
pub(crate) fn measure(up: &RunningInstance, commands: f64, report: &mut Report) {
    let times = sequence(&up.admin(), "wg-1");
    add(report, "CAP_NET_ADMIN", "visible_cap", &times, commands);
}

/// Installs the program that sudo may run at the packaged path, for this world only.
fn install_helper(world: &World) {
    let packaging = programs::repository().join("packaging");
    let packaging = packaging.display();
    world.sh(&format!(
        "mkdir -p /run/helper; mount -t tmpfs world /run/helper; mkdir /run/helper/upper /run/helper/work
         mount -t overlay world -o lowerdir=/usr/lib,upperdir=/run/helper/upper,workdir=/run/helper/work /usr/lib
         install -D -m 0755 {packaging}/libexec/wg-syncconf /usr/lib/uncloud/wg-syncconf"
    ));
}

/// Measures with `sudo -n` before each privileged command. The worker is root here as well: the cost of sudo is the
/// same.
pub(crate) fn measure_with_sudo(world: &World, up: &RunningInstance, report: &mut Report) {
    let help = output(clear_env(Command::new(programs::uncloud_worker()).arg("--help")), "");
    let offered = String::from_utf8_lossy(&help.stdout).contains("--sudo");
    let what = "201 -> peer on the host, sudo";
    if !offered {
        return report.leave_out("visible_sudo_p50_ms", what, "uncloud-worker has no --sudo yet");
    }
    if !machine::sudo_works() {
        return report.leave_out("visible_sudo_p50_ms", what, "sudo is not installed");
    }
    install_helper(world);
    let commands = machine::commands_of_a_change(&up.namespace(), "/usr/bin/sudo -n");
    report.add("commands_sudo_ms", "the same commands, `wg` by sudo", commands, "ms", "", "");
    let redis = up.instance().redis_url.expect("it runs");
    let mut command = world.command(VPN_HOST, programs::uncloud_worker());
    command.args(["--queue", SUDO_HOST, "--sudo", "--wireguard-implementation", "wireguard-go", "--state-dir"]);
    command.arg(Path::new("/run/sudo-state"));
    std::fs::create_dir_all("/run/sudo-state").expect("folder");
    let _worker = Process::start("uncloud-worker --sudo", clear_env(&mut command).env("REDIS_URL", redis.expose()));
    let staff = up.admin();
    // The first pool has to be full, so that requests use the second.
    let first = staff.get("/v1/admin/vpnpool/1").expect(200)["free"].as_i64().expect("a number");
    for _ in 0..first {
        staff.create_network(&new_key());
    }
    let id = pool(up, SUDO_HOST, "2a0a:e5c1:300::/40", 51820);
    let times = sequence(&staff, &format!("wg-{id}"));
    add(report, "sudo", "visible_sudo", &times, commands);
}
