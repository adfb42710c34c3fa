//! A reader of the documentation, at a machine of their own on which nothing but the repository is.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;
use uncloud_testkit::{
    command::clear_env,
    process::Process,
    programs::{self, repository},
    world::{VPN_HOST, World},
};

use crate::{
    block::{Block, Step},
    document::Document,
    output,
    session::Session,
};

/// README's first command. What it does before `up-and-tour` (installing packages, building) has been done for the tests.
const START: &str = "./dev run";
/// Starting everything and the tour take a few seconds, and longer beside other tests.
const START_LIMIT: Duration = Duration::from_mins(2);

pub(crate) struct Reader {
    home: TempDir,
    started: Process,
}

impl Reader {
    /// Starts what README's first command starts, in a network namespace, so that the port is free, and with an empty
    /// /var/lib.
    pub(crate) fn start(world: &World) -> Self {
        world.sh("mount -t tmpfs -o mode=755 world /var/lib");
        world.enter(VPN_HOST);
        let home = tempfile::tempdir().expect("a folder");
        let target = home.path().join(".cache/uncloud/target");
        fs::create_dir_all(&target).expect("a folder");
        symlink(programs::uncloud().parent().expect("a folder"), target.join("debug")).expect("linked");
        let mut command = Command::new(repository().join("dev"));
        let mut started = Process::start(START, at_home(command.arg("up-and-tour"), home.path()));
        let since = Instant::now();
        while !started.stderr().contains("Ctrl-C ends everything.") {
            assert!(!started.has_ended() && since.elapsed() < START_LIMIT, "{START} is not ready");
            thread::sleep(Duration::from_millis(50));
        }
        assert!(!started.stderr().contains("The tour ended early"), "the tour has failed");
        Self { home, started }
    }

    /// Follows a document from its beginning, with the variables of an earlier session. Returns its own variables, and
    /// where the document is wrong.
    pub(crate) fn follow(&self, document: &Document, variables: &str) -> (String, Vec<String>) {
        let steps: Vec<Step> = document.blocks().iter().filter(|block| block.is_run()).flat_map(Block::steps).collect();
        if steps.is_empty() {
            return (String::new(), Vec::new());
        }
        let mut session = Session::start(at_home(&mut Command::new("sh"), self.home.path()));
        session.run(&format!("{variables}\nset -a"));
        for step in steps.iter().filter(|step| step.command != START) {
            if let Some(wrong) = follow_step(&mut session, step) {
                // Later steps build on this one.
                return (String::new(), vec![format!("{}: {wrong}", document.place(step.line))]);
            }
        }
        (session.run("export -p").printed, Vec::new())
    }

    /// Ends what was started, and returns whether that went in order.
    pub(crate) fn end(mut self) -> Result<(), String> {
        let status = self.started.terminate();
        let is_left = Path::new("/var/lib/uncloud/instance.json").exists();
        // A shell that a signal has ended says so with 128 and its number.
        if status.code() == Some(128 + Signal::SIGTERM as i32) && !is_left {
            return Ok(());
        }
        Err(format!("{START} did not end in order after SIGTERM: {status}, instance.json is left: {is_left}"))
    }
}

fn follow_step(session: &mut Session, step: &Step) -> Option<String> {
    let Step { command, shown, .. } = step;
    let ended = session.run(command);
    let printed = ended.printed.trim_end();
    match ended.code {
        Ok(0) if shown.is_empty() || output::is_as_shown(shown, printed) => None,
        Ok(0) => Some(format!("$ {command}\n--- the document shows\n{}\n--- it printed\n{printed}", shown.join("\n"))),
        Ok(code) => Some(format!("$ {command}\n--- ended with {code} and printed\n{printed}")),
        Err(why) => Some(format!("$ {command}\n--- {why}; it printed\n{printed}")),
    }
}

/// Gives a command the reader's home and the repository as its folder.
fn at_home<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    clear_env(command).env("HOME", home).current_dir(repository())
}
