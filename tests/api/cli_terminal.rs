//! The command line and the other end of stdout: a program that reads, one that has gone, or a terminal.

use std::{
    fs::File,
    io::Read as _,
    process::{Command, Stdio},
};

use nix::pty::{Winsize, openpty};

use crate::{
    app::{HOST, TestApp},
    cli::{beside, run, uncloud},
};

/// Commands that need no server, and write to stdout.
const WRITE: &[&[&str]] = &[
    &["openapi"],
    &["--help"],
    &["job", "--help"],
    &["help", "job", "ls"],
    &["--version"],
    &["completion", "bash"],
    &["completion", "zsh"],
    &["completion", "fish"],
];

/// Runs a command whose stdout nobody reads any more.
fn run_unread(mut command: Command) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).output().expect("uncloud");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn command_with_closed_stdout_exits_silently() {
    for args in WRITE {
        assert_eq!(run_unread(uncloud(args)), (Some(141), String::new()), "{args:?}");
    }
}

#[tokio::test]
async fn list_and_export_with_closed_stdout_exit_silently() {
    let app = TestApp::start().await;
    for args in [
        &["job", "ls"][..],
        &["user", "ls", "--output", "json"],
        &["schedule", "show", "bill-run"],
        &["inspect", "stats"],
        &["bill", "verify"],
        &["bill", "export", "--from", "2024-01-01", "--to", "2025-01-01"],
    ] {
        let mut command = uncloud(args);
        command.env("DATABASE_URL", app.database_url.expose());
        assert_eq!(beside(move || run_unread(command)).await, (Some(141), String::new()), "{args:?}");
    }
}

#[test]
fn command_writing_to_full_disk_fails_with_message() {
    let full = File::options().append(true).open("/dev/full").expect("always full");
    let output = uncloud(&["openapi"]).stdout(full).stderr(Stdio::piped()).output().expect("uncloud");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.code() == Some(1) && said.contains("stdout") && said.contains("No space left"), "{said}");
}

#[test]
fn command_with_closed_stderr_exits_with_its_usual_code() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = uncloud(&["migrate"]).stdin(Stdio::null()).stderr(writer).status().expect("uncloud");
    assert_eq!(status.code(), Some(2), "as with a reader");
}

/// Returns a command's output on a terminal of this width.
fn on_terminal(mut command: Command, columns: u16) -> String {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(Some(&size), None).expect("a terminal");
    let mut child = command.stdin(Stdio::null()).stdout(terminal.slave).stderr(Stdio::null()).spawn().expect("uncloud");
    drop(command); // and with it our own end of the terminal
    let (mut master, mut bytes) = (File::from(terminal.master), Vec::new());
    // Linux reports the end of a terminal as an error (EIO).
    let _ = master.read_to_end(&mut bytes);
    assert!(child.wait().expect("uncloud").success(), "{}", String::from_utf8_lossy(&bytes));
    String::from_utf8(bytes).expect("text").replace("\r\n", "\n")
}

#[tokio::test]
async fn list_on_terminal_has_colours_and_fits_the_width() {
    let app = TestApp::start().await;
    app.cli(&["queue", "pause", HOST]).await.expect("paused");
    let job = app.handbook_pool().await["job"]["id"].clone();
    app.cli(&["job", "revoke", &job.to_string()]).await.expect("revoked");
    let command = |args: &[&str], variables: &[(&'static str, &'static str)]| {
        let mut command = uncloud(args);
        command.env("DATABASE_URL", app.database_url.expose()).env("TERM", "xterm").envs(variables.iter().copied());
        command
    };
    let list = ["job", "ls"];
    for columns in [200, 80, 40] {
        let plain = command(&list, &[("NO_COLOR", "1")]);
        let text = beside(move || on_terminal(plain, columns)).await;
        assert!(!text.contains('\x1b'), "{text:?}");
        assert!(text.contains("revoked"), "{text}");
        let longest = text.lines().map(|line| line.chars().count()).max().expect("lines");
        assert!(longest <= columns.into(), "{longest} > {columns}:\n{text}");
    }
    let coloured = command(&list, &[]);
    let text = beside(move || on_terminal(coloured, 200)).await;
    assert!(text.contains("\x1b[33mrevoked\x1b[0m") && text.contains("\x1b[1mID\x1b[0m"), "{text:?}");
    let dumb = command(&list, &[("TERM", "dumb")]);
    assert!(!beside(move || on_terminal(dumb, 200)).await.contains('\x1b'));
    let json = command(&["job", "ls", "--output", "json"], &[]);
    let text = beside(move || on_terminal(json, 40)).await;
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|jobs| jobs[0]["id"] == job), "{text}");
    let mut piped = command(&list, &[]);
    let output = beside(move || run(&mut piped, "")).await;
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(!text.contains('\x1b') && text.lines().count() == 2, "one line a job for programs: {text}");
}

#[test]
fn help_on_terminal_has_colours_unless_no_color_is_set() {
    let help = |variables: &[(&'static str, &'static str)]| {
        let mut command = uncloud(&["--help"]);
        command.env("TERM", "xterm").envs(variables.iter().copied());
        on_terminal(command, 80)
    };
    assert!(help(&[]).contains('\x1b'));
    let plain = help(&[("NO_COLOR", "1")]);
    assert!(!plain.contains('\x1b'));
    let options =
        plain.split("Options:").nth(1).and_then(|rest| rest.split("An option whose").next()).expect("options");
    assert!(options.lines().all(|line| line.chars().count() <= 80), "{options}");
    assert!(!String::from_utf8_lossy(&run(&mut uncloud(&["--help"]), "").stdout).contains('\x1b'));
}
