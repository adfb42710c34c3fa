//! The command line of `uncloud-worker`: an error is one line that says how to mend it, and never a password.

use std::{
    fs::{self, File},
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    time::Duration,
};

use nix::sys::signal::Signal;
use uncloud_testkit::{
    command::{clear_env, fail, succeed},
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
fn worker_with_invalid_options_prints_one_line_without_password() {
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

/// Runs a command that must fail, and checks its exit code and the words of its last line.
#[track_caller]
fn exits(command: &mut Command, code: i32, words: &[&str]) {
    let output = command.stdin(Stdio::null()).output().expect("worker");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("uncloud-worker: ") && words.iter().all(|word| last.contains(word)),
        "{command:?}: {said}"
    );
}

#[test]
fn worker_failure_exits_with_the_code_of_its_cause() {
    let queue = ["--queue", "vpn-1.example.ch"];
    exits(&mut worker(&[]), 2, &["--queue"]);
    exits(&mut worker(&queue), 2, &["REDIS_URL"]);
    exits(worker(&queue).env("REDIS_URL", "http://localhost"), 2, &["redis://"]);
    exits(&mut worker(&["--no-such-option"]), 2, &["--help"]);
    exits(worker(&queue).env("UNCLOUD_SUDO", "maybe"), 2, &["--sudo", "yes or no"]);
    exits(&mut worker(&["restore", "--state-dir", "/nonexistent/state"]), 1, &["/nonexistent/state"]);
    let mut billing = worker(&["--queue", "billing", "--broker", "redis://127.0.0.1:1"]);
    exits(&mut billing, 2, &["DATABASE_URL"]);
    exits(billing.env("DATABASE_URL", "postgres://uncloud@127.0.0.1:1/uncloud"), 4, &["PostgreSQL"]);
}

#[test]
fn worker_options_before_or_after_the_command_are_read() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("worker.env");
    fs::write(&file, "export UNCLOUD_STATE_DIR='/nonexistent/of the file'\nREDIS_URL=http://hunter2@localhost\n")
        .expect("file");
    let path = file.to_str().expect("UTF-8");
    for args in [&["--config", path, "restore"][..], &["restore", "--config", path]] {
        exits(&mut worker(args), 1, &["/nonexistent/of the file"]);
    }
    for args in
        [&["--state-dir", "/nonexistent/state", "restore"][..], &["restore", "--state-dir", "/nonexistent/state"]]
    {
        exits(worker(args).env("UNCLOUD_CONFIG", path), 1, &["/nonexistent/state"]);
    }
    let said = fail(&mut worker(&["--queue", "vpn-1.example.ch", "--config", path]));
    assert!(said.contains("redis://") && !said.contains("hunter2"), "{said}");
    exits(&mut worker(&["--concurrency", "8", "restore"]), 2, &["--concurrency", "restore"]);
    fs::write(&file, "REDIS_URL='redis://localhost\n").expect("file");
    exits(&mut worker(&["--config", path, "restore"]), 2, &[path, "line 1", "never closed"]);
}

#[test]
fn worker_help_completion_and_man_pages_are_generated() {
    for args in [&["--help"][..], &["restore", "--help"], &["completion", "bash"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = worker(args).stdout(writer).stderr(Stdio::piped()).output().expect("worker");
        assert_eq!((output.status.code(), output.stderr.len()), (Some(141), 0), "nobody reads {args:?}");
    }
    let secret = "hunter2";
    let help = worker(&["--help"]).env("REDIS_URL", secret).env("DATABASE_URL", secret).output().expect("worker");
    let help = String::from_utf8(help.stdout).expect("text");
    assert!(help.contains("[env: REDIS_URL]") && help.contains("Exit codes:") && !help.contains(secret), "{help}");
    let script = "source <(\"$WORKER\" completion bash) && COMP_WORDS=(uncloud-worker re) COMP_CWORD=1 && \
                  _uncloud__worker uncloud-worker re uncloud-worker && echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    let offered = succeed(bash.args(["--norc", "-c", script]).env("WORKER", programs::uncloud_worker()), "");
    assert_eq!(offered.trim(), "restore");
    let folder = tempfile::tempdir().expect("folder");
    succeed(&mut worker(&["man", folder.path().to_str().expect("UTF-8")]), "");
    for page in ["uncloud-worker.1", "uncloud-worker-restore.1"] {
        assert!(folder.path().join(page).exists(), "{page}");
    }
}

/// A worker with Celery's habits, on a Redis of its own.
fn celery_like(redis: &RedisServer, args: &[&str]) -> Command {
    let mut command = worker(&["-Q", "a.example.ch,b.example.ch", "-n", "w2@%h", "-c", "2"]);
    command.args(["-b", redis.url().expose()]).args(args);
    command
}

/// It has made the group that it reads with.
fn works(redis: &RedisServer) -> bool {
    redis::cmd("EXISTS").arg("uncloud:{b.example.ch}:jobs").query::<i32>(&mut redis.connect()).expect("response") == 1
}

#[test]
fn worker_log_with_file_and_level_options_honours_both() {
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
fn worker_with_full_disk_under_its_log_keeps_running() {
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
fn worker_under_systemd_notifies_ready_watchdog_and_stopping() {
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
