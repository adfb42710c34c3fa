//! Calls of `ip`, `wg` and `wireguard-go`: absolute paths, argument arrays, an empty environment, a time limit.
//!
//! Arguments are built from typed values only and never hold a secret: everybody on the machine can read them.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Seek as _, Write as _},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use nix::{
    sys::{
        memfd::{MFdFlags, memfd_create},
        signal::{Signal, killpg},
    },
    unistd::Pid,
};
use tokio::{process, time};
use uncloud::secret::Secret;

use super::{COMMAND_TIMEOUT, HostError, scrub::scrub};

/// The programs a host is configured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Ip,
    Wg,
    WireguardGo,
    Sudo,
    /// `wg syncconf IF /dev/stdin` for use with sudo; packaging/libexec/wg-syncconf says why.
    WgSyncconf,
}

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Wg => "wg",
            Self::WireguardGo => "wireguard-go",
            Self::Sudo => "sudo",
            Self::WgSyncconf => "wg-syncconf",
        }
    }

    const fn package(self) -> &'static str {
        match self {
            Self::Ip => "iproute2",
            Self::Wg => "wireguard-tools",
            Self::WireguardGo => "wireguard-go",
            Self::Sudo => "sudo",
            Self::WgSyncconf => "packaging/libexec/wg-syncconf of uncloud's sources there",
        }
    }

    /// Fixed places: whoever could change `PATH` would otherwise choose what runs as root.
    const fn candidates(self) -> &'static [&'static str] {
        match self {
            Self::Ip => &["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"],
            Self::Wg => &["/usr/bin/wg", "/usr/local/bin/wg"],
            Self::WireguardGo => &["/usr/bin/wireguard-go", "/usr/local/bin/wireguard-go"],
            Self::Sudo => &["/usr/bin/sudo"],
            Self::WgSyncconf => &["/usr/lib/uncloud/wg-syncconf"],
        }
    }

    fn find(self) -> Result<PathBuf, HostError> {
        let found = self.candidates().iter().map(Path::new).find(|path| path.is_file());
        found.map(Path::to_owned).ok_or_else(|| HostError::MissingProgram {
            program: self.name(),
            looked_in: self.candidates().join(", "),
            package: self.package(),
        })
    }
}

/// Whether a call needs more rights than any user has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// Reading addresses and routes.
    Anybody,
    /// Changing them, and talking to WireGuard at all.
    NetAdmin,
}

/// The installed programs.
#[derive(Debug)]
pub(super) struct Commands {
    ip: PathBuf,
    wg: PathBuf,
    /// Present when the userspace implementation is allowed.
    wireguard_go: Option<PathBuf>,
    /// Put before every call that needs rights, as in `sudo -n`.
    prefix: Vec<OsString>,
    /// Present when rights come from sudo.
    wg_syncconf: Option<PathBuf>,
    /// For each call.
    pub(super) timeout: Duration,
}

impl Commands {
    /// Finds the programs at their fixed places.
    pub(super) fn find(userspace: bool) -> Result<Self, HostError> {
        Ok(Self {
            ip: Program::Ip.find()?,
            wg: Program::Wg.find()?,
            wireguard_go: userspace.then(|| Program::WireguardGo.find()).transpose()?,
            prefix: Vec::new(),
            wg_syncconf: None,
            timeout: COMMAND_TIMEOUT,
        })
    }

    /// From now on, calls that need rights go through sudo, which never asks for a password.
    pub(super) fn use_sudo(&mut self) -> Result<(), HostError> {
        self.wg_syncconf = Some(Program::WgSyncconf.find()?);
        self.prefix = vec![Program::Sudo.find()?.into_os_string(), "-n".into()];
        Ok(())
    }

    /// True when `wireguard-go` may step in for the kernel.
    pub(super) const fn userspace_allowed(&self) -> bool {
        self.wireguard_go.is_some()
    }

    /// Calls a program and returns what it printed.
    pub(super) async fn run(&self, program: Program, rights: Rights, args: &[&str]) -> Result<String, HostError> {
        self.run_with_input(program, rights, args, None).await
    }

    /// Gives an interface a WireGuard configuration, on standard input because there is a key in it.
    pub(super) async fn syncconf(&self, interface: &str, text: &Secret<String>) -> Result<(), HostError> {
        let done = if self.wg_syncconf.is_some() {
            self.run_with_input(Program::WgSyncconf, Rights::NetAdmin, &[interface], Some(text)).await
        } else {
            let args = ["syncconf", interface, "/dev/stdin"];
            self.run_with_input(Program::Wg, Rights::NetAdmin, &args, Some(text)).await
        };
        done.map(drop)
    }

    /// Calls a program with a text on its standard input, the only way in for a secret.
    async fn run_with_input(
        &self,
        program: Program,
        rights: Rights,
        args: &[&str],
        input: Option<&Secret<String>>,
    ) -> Result<String, HostError> {
        let name = format!("{} {}", program.name(), args.join(" "));
        let start = |source| HostError::Start { command: name.clone(), source };
        let stdin = input.map_or_else(|| Ok(Stdio::null()), |text| complete_file(text).map(Stdio::from));
        let child = self.command(program, rights, args).stdin(stdin.map_err(start)?).spawn().map_err(start)?;
        let group = Group::of(&child);
        match time::timeout(self.timeout, child.wait_with_output()).await {
            Ok(Ok(output)) => {
                group.keep();
                read(name, &output)
            }
            Ok(Err(source)) => Err(start(source)),
            Err(_) => Err(HostError::TimedOut { command: name, after: self.timeout }),
        }
    }

    /// The one place that builds an argument list.
    fn command(&self, program: Program, rights: Rights, args: &[&str]) -> process::Command {
        let path = match program {
            Program::Ip => self.ip.as_path(),
            Program::Wg => self.wg.as_path(),
            Program::WireguardGo => self.wireguard_go.as_deref().unwrap_or(Path::new("wireguard-go")),
            Program::WgSyncconf => self.wg_syncconf.as_deref().unwrap_or(Path::new("wg-syncconf")),
            Program::Sudo => Path::new("/usr/bin/sudo"),
        };
        let prefix = if rights == Rights::NetAdmin { self.prefix.as_slice() } else { &[] };
        let mut words = prefix.iter().map(OsString::as_os_str).chain([path.as_os_str()]);
        let mut command = process::Command::new(words.next().unwrap_or(path.as_os_str()));
        command
            .args(words)
            .args(args)
            // Error texts are compared, so they have to be in English; and wireguard-go reads variables of its own:
            // WG_PROCESS_FOREGROUND makes it hang, LOG_LEVEL makes it keep our pipes open.
            .env_clear()
            .envs([("LC_ALL", "C"), ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")])
            // An interrupt typed at the worker's terminal must not end wireguard-go, which outlives the worker.
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// A running command with all that it has started, sudo's command say: ended with the value, should nobody wait any longer.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &process::Child) -> Self {
        Self(child.id().and_then(|id| id.try_into().ok()).map(Pid::from_raw))
    }

    /// It has ended; what it leaves behind (wireguard-go) is to stay.
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What has rights by sudo can't be killed from here; those commands are short.
        if let Some(leader) = self.0 {
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// An anonymous file that only this process and its child can reach, and that is whole before the child starts.
///
/// Not a pipe: when this process is killed before it has written all, `wg` takes what came for the whole
/// configuration, and without a line in it removes all peers and the private key.
fn complete_file(text: &Secret<String>) -> io::Result<File> {
    let mut file = File::from(memfd_create("input", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text.expose().as_bytes())?;
    file.rewind()?;
    Ok(file)
}

fn read(command: String, output: &Output) -> Result<String, HostError> {
    if !output.status.success() {
        // wireguard-go fills stderr in any case, and says on stdout what is wrong.
        let said = [&output.stderr[..], b"\n", &output.stdout[..]].concat();
        let mut stderr = scrub(&String::from_utf8_lossy(&said));
        if stderr.starts_with("sudo: ") {
            stderr.push_str("; are uncloud's rules for sudo installed (packaging/sudoers.d)? `sudo -n -l` lists them");
        }
        return Err(HostError::Command { command, status: output.status.to_string(), stderr });
    }
    String::from_utf8(output.stdout.clone())
        .map_err(|_| HostError::Output { command, reason: "it is not UTF-8".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands in for a program of the machine, at a path of the machine.
    fn with_ip(path: &str) -> Commands {
        let path = PathBuf::from(path);
        let wg = path.clone();
        Commands { ip: path, wg, wireguard_go: None, prefix: Vec::new(), wg_syncconf: None, timeout: COMMAND_TIMEOUT }
    }

    #[test]
    fn the_prefix_goes_before_calls_that_need_rights_and_only_those() {
        let mut commands = with_ip("/usr/sbin/ip");
        commands.prefix = vec!["/usr/bin/sudo".into(), "-n".into()];
        let words = |rights| {
            let command = commands.command(Program::Ip, rights, &["link"]);
            let command = command.as_std();
            let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
            [command.get_program().to_string_lossy().into_owned()].into_iter().chain(args).collect::<Vec<_>>()
        };
        assert_eq!(words(Rights::Anybody), ["/usr/sbin/ip", "link"]);
        assert_eq!(words(Rights::NetAdmin), ["/usr/bin/sudo", "-n", "/usr/sbin/ip", "link"]);
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_stopped() {
        let mut commands = with_ip("/bin/sleep");
        commands.timeout = Duration::from_millis(50);
        let error = commands.run(Program::Ip, Rights::Anybody, &["60"]).await.expect_err("it sleeps");
        assert!(matches!(error, HostError::TimedOut { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_a_program_has_started_ends_with_it() {
        let mut commands = with_ip("/bin/sh");
        commands.timeout = Duration::from_millis(200);
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("pid");
        let script = format!("sleep 86400 & echo $! >{}; wait", file.display());
        let error = commands.run(Program::Ip, Rights::Anybody, &["-c", &script]).await.expect_err("it waits");
        assert!(matches!(error, HostError::TimedOut { .. }), "{error}");
        let pid = std::fs::read_to_string(&file).expect("it was started").trim().to_owned();
        let stat = format!("/proc/{pid}/stat");
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        // Nobody may wait for it, so it may stay as a zombie.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(std::time::Instant::now() < deadline, "process {pid} still runs");
            time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn input_arrives_and_the_environment_is_empty() {
        let input = Secret::new("x".repeat(1 << 20));
        let copied = with_ip("/bin/cat").run_with_input(Program::Ip, Rights::Anybody, &[], Some(&input)).await;
        assert_eq!(copied.expect("cat").len(), 1 << 20);
        // All of it is there when the program starts: of a pipe this would print 0.
        let size = with_ip("/usr/bin/stat");
        let size = size.run_with_input(Program::Ip, Rights::Anybody, &["-L", "-c", "%s", "/dev/stdin"], Some(&input));
        assert_eq!(size.await.expect("stat").trim(), (1 << 20).to_string());
        let variables = with_ip("/usr/bin/env").run(Program::Ip, Rights::Anybody, &[]).await.expect("env");
        assert_eq!(variables, "LC_ALL=C\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
    }

    #[tokio::test]
    async fn a_failure_says_what_the_program_said() {
        let error = with_ip("/bin/ls").run(Program::Ip, Rights::Anybody, &["/nonexistent"]).await.expect_err("no file");
        assert!(error.stderr().contains("No such file"), "{error}");
        assert!(!error.is_final());
        let script = ["-c", "echo the reason; echo a banner >&2; exit 1"];
        let error = with_ip("/bin/sh").run(Program::Ip, Rights::Anybody, &script).await.expect_err("it says no");
        assert_eq!(error.stderr(), "a banner the reason");
        let error = with_ip("/nonexistent").run(Program::Ip, Rights::Anybody, &["link"]).await.expect_err("no program");
        assert!(error.to_string().starts_with("cannot run `ip link`"), "{error}");
    }
}
