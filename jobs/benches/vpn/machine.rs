//! The machine's own part: its load, and the cost of disk, commands and sudo.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use uncloud_testkit::instance::RunningInstance;

use crate::{
    machine::{add_cores, add_load},
    report::{Report, percentile},
};

const REPEATS: usize = 50;

fn millis(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64() * 1000.0
}

fn median(mut work: impl FnMut()) -> f64 {
    let times: Vec<f64> = (0..REPEATS).map(|_| millis(&mut work)).collect();
    percentile(&times, 50)
}

/// Measures everything that all figures share.
pub(crate) fn measure(up: &RunningInstance, disk: &Path, report: &mut Report) {
    add_cores(report);
    add_load(report, "before");
    let mut file = File::create(disk.join("probe")).expect("file");
    let sync = median(|| file.write_all(&[0; 8192]).and_then(|()| file.sync_data()).expect("written"));
    report.add("fsync_ms", "machine: fsync of 8 KB (median)", sync, "ms", "", "every commit waits for one");
    let jitter: Vec<f64> = (0..200).map(|_| millis(|| thread::sleep(std::time::Duration::from_millis(1)))).collect();
    let late = percentile(&jitter, 99) - 1.0;
    report.add(
        "sleep_late_p99_ms",
        "machine: a sleep of 1 ms is late by (p99)",
        late,
        "ms",
        "",
        "noise of the scheduler",
    );
    let namespace = up.namespace();
    let show = inside(&namespace, || median(|| run(Command::new("/usr/bin/wg").args(["show", "interfaces"]))));
    report.add("wg_show_ms", "one `wg show` (median)", show, "ms", "", "");
    if sudo_works() {
        let sudo = median(|| run(Command::new("sudo").args(["-n", "true"])));
        report.add("sudo_true_ms", "one `sudo -n true` (median)", sudo, "ms", "", "");
    } else {
        report.leave_out("sudo_true_ms", "one `sudo -n true`", "sudo is not installed");
    }
}

pub(crate) fn sudo_works() -> bool {
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet(Command::new("sudo").args(["-n", "true"])).is_ok_and(|status| status.success())
}

/// Runs a closure on a thread in a namespace, so that commands do not have to enter it each.
fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let work = move || {
            let file = File::open(Path::new("/run/netns").join(namespace)).expect("namespace");
            nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).expect("root is allowed to enter it");
            work()
        };
        scope.spawn(work).join().expect("no panic")
    })
}

fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "{command:?}: {status}");
}

/// Runs the commands that a worker needs until a changed peer exists, as the worker runs them: one reads the addresses,
/// five more run at once, then one `wg syncconf`; `prefix` goes before those of `wg`. Returns the median of the total.
pub(crate) fn commands_of_a_change(namespace: &str, prefix: &'static str) -> f64 {
    const ADDRESSES: &str = "/usr/sbin/ip -j addr show dev wg-1";
    const MORE: [&str; 5] = [
        "/usr/sbin/ip -j route show table all type unreachable",
        "/usr/sbin/ip -j route show table all dev wg-1",
        "/usr/bin/wg show wg-1 public-key",
        "/usr/bin/wg show wg-1 listen-port",
        "/usr/bin/wg show wg-1 allowed-ips",
    ];
    let command = |line: &str| {
        let prefix = if line.starts_with("/usr/bin/wg ") { prefix } else { "" };
        let mut words = prefix.split_whitespace().chain(line.split(' '));
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    inside(namespace, || {
        // Empty input would change the private key and the peers, so `wg set` of the port stands in for a list of
        // changes.
        let port = "/usr/bin/wg set wg-1 listen-port 51820";
        median(|| {
            run(&mut command(ADDRESSES));
            let running: Vec<_> = MORE.iter().map(|line| command(line).spawn().expect("it starts")).collect();
            for mut child in running {
                assert!(child.wait().expect("child").success());
            }
            run(&mut command(port));
        })
    })
}
