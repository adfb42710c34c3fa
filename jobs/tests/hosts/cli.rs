//! The command line of `uncloud-worker`: an error is one line that says how to mend it, and never a password.

use std::{
    fs::{self, File},
    os::unix::net::UnixDatagram,
    process::Command,
    time::Duration,
};

use nix::sys::signal::Signal;
use uncloud_testkit::{
    command::{clear_env, fail},
    process::Process,
    programs,
    servers::RedisServer,
    wait::wait_until,
};

fn worker(args: &[&str]) -> Command {
    let mut command = Command::new(programs::uncloud_worker());
    clear_env(command.args(args));
    command
}

#[test]
fn errors_are_one_line_without_the_password() {
    let no_broker = fail(&mut worker(&["--queue", "vpn-1.example.ch"]));
    assert!(no_broker.contains("REDIS_URL") && no_broker.contains("--broker"), "{no_broker}");
    let no_queue = fail(&mut worker(&[]));
    assert!(no_queue.contains("--queue"), "{no_queue}");
    let no_name = fail(&mut worker(&["--queue", "a b"]));
    assert!(no_name.contains("--queue") && no_name.contains("vpn-1.example.ch"), "{no_name}");
    let url = "http://uncloud:hunter2@localhost";
    let wrong_url = fail(worker(&["--queue", "vpn-1.example.ch"]).env("REDIS_URL", url));
    assert!(wrong_url.contains("redis://") && !wrong_url.contains("hunter2"), "{wrong_url}");
    let no_file = fail(&mut worker(&["--queue", "billing", "--broker-file", "/nonexistent/url"]));
    assert!(no_file.contains("/nonexistent/url"), "{no_file}");
    let no_folder = fail(&mut worker(&["restore", "--state-dir", "/nonexistent/state"]));
    assert!(no_folder.contains("/nonexistent/state"), "{no_folder}");
}

/// A worker with Celery's habits, on a Redis of its own.
fn celery_like(redis: &RedisServer, args: &[&str]) -> Command {
    let mut command = worker(&["-Q", "a.example.ch,b.example.ch", "-n", "w2@%h", "-c", "2"]);
    command.args(["-b", redis.url().expose()]).args(args);
    command
}

/// It has made the group that it reads with.
fn works(redis: &RedisServer) -> bool {
    redis::cmd("EXISTS").arg("uncloud:{b.example.ch}:jobs").query::<i32>(&mut redis.connect()).expect("answer") == 1
}

#[test]
fn the_log_goes_to_a_file_at_the_level_that_is_asked_for() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("worker.log");
    let path = file.to_str().expect("UTF-8");
    let mut process = Process::start("worker", &mut celery_like(&redis, &["-f", path, "-l", "INFO"]));
    wait_until("the log has begun", || {
        fs::read_to_string(&file).is_ok_and(|log| log.contains("working") && log.contains("w2@"))
    });
    assert!(process.terminate().success());
    let before = fs::read_to_string(&file).expect("log");
    assert!(before.contains("all jobs are finished"), "{before}");
    assert_eq!(process.stderr(), "");
    // Appended to, and quieter.
    redis.flush();
    let mut process = Process::start("worker", &mut celery_like(&redis, &["-f", path, "-l", "error"]));
    wait_until("it works", || works(&redis));
    assert!(process.terminate().success());
    assert_eq!(fs::read_to_string(&file).expect("log"), before);
    let no_folder = fail(&mut celery_like(&redis, &["-f", "/nonexistent/worker.log"]));
    assert!(no_folder.contains("/nonexistent/worker.log"), "{no_folder}");
}

#[test]
fn a_full_disk_under_the_log_ends_no_worker() {
    let redis = RedisServer::start();
    for to_file in [true, false] {
        let args: &[&str] = if to_file { &["-f", "/dev/full"] } else { &[] };
        let mut command = celery_like(&redis, args);
        let full = File::options().append(true).open("/dev/full").expect("always full");
        let mut child = command.stderr(full).spawn().expect("worker");
        wait_until("it works", || works(&redis));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("there");
        assert!(child.wait().expect("child").success(), "{to_file}");
        redis.flush();
    }
}

#[test]
fn systemd_hears_that_it_is_ready_alive_and_stopping() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("socket");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("limit");
    let hear = || {
        let mut text = [0; 200];
        let length = socket.recv(&mut text).expect("news in time");
        String::from_utf8_lossy(&text[..length]).trim().to_owned()
    };
    let mut command = celery_like(&redis, &[]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let mut process = Process::start("worker", &mut command);
    assert_eq!(hear(), "READY=1");
    assert_eq!(hear(), "WATCHDOG=1");
    process.signal(Signal::SIGTERM);
    wait_until("it says that it stops", || hear() == "STOPPING=1");
    assert!(process.wait().success());
}
