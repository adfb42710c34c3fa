//! The calls of `ip`, `wg` and `wireguard-go`: absolute paths, argument arrays, an empty environment, a time limit.
//!
//! Arguments are built from typed values only and never contain a secret: every user of the machine can read them.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Seek as _, Write as _},
    path::{Path, PathBuf},
    pin::pin,
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
use uncloud_wire::Secret;

use super::{HostError, scrub::scrub};

/// The time that one call of `ip` or `wg` may take before it is killed.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// The time that a terminated command may take to end. With sudo, `command_timeout` (packaging/sudoers.d) kills a
/// command that ignores the signal.
const ENDING: Duration = Duration::from_secs(7);

/// The programs that configure a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Ip,
    Wg,
    WireguardGo,
    Sudo,
    /// The helper for `wg syncconf IF /dev/stdin` with sudo; packaging/libexec/wg-syncconf explains it.
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

    /// Returns the fixed paths of the program: otherwise a user who can change `PATH` would choose what runs as root.
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
        found.map(Path::to_owned).ok_or_else(|| self.missing())
    }

    fn missing(self) -> HostError {
        HostError::MissingProgram {
            program: self.name(),
            looked_in: self.candidates().join(", "),
            package: self.package(),
        }
    }
}

/// The rights that a call requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// The rights of every user, which suffice to read addresses and routes.
    Unprivileged,
    /// The rights to change addresses and routes, and to use WireGuard at all.
    NetAdmin,
}

/// The installed programs.
#[derive(Debug)]
pub(super) struct Commands {
    ip: PathBuf,
    wg: PathBuf,
    /// The path of `wireguard-go`, if the userspace implementation is allowed.
    wireguard_go: Option<PathBuf>,
    /// The words before every call that requires rights, as in `sudo -n`.
    prefix: Vec<OsString>,
    /// The path of the helper for `wg syncconf`, if rights come from sudo.
    wg_syncconf: Option<PathBuf>,
    /// The time limit of each call.
    pub(super) timeout: Duration,
}

impl Commands {
    /// Finds the programs at their fixed paths.
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

    /// Makes further calls that require rights use sudo, which never asks for a password.
    pub(super) fn use_sudo(&mut self) -> Result<(), HostError> {
        self.wg_syncconf = Some(Program::WgSyncconf.find()?);
        self.prefix = vec![Program::Sudo.find()?.into_os_string(), "-n".into()];
        Ok(())
    }

    /// Returns true if `wireguard-go` may replace the kernel's implementation.
    pub(super) const fn userspace_allowed(&self) -> bool {
        self.wireguard_go.is_some()
    }

    /// Calls a program and returns its output.
    pub(super) async fn run(&self, program: Program, rights: Rights, args: &[&str]) -> Result<String, HostError> {
        self.run_with_input(program, rights, args, None).await
    }

    /// Gives an interface a WireGuard configuration, on standard input because it contains a key.
    pub(super) async fn syncconf(&self, interface: &str, text: &Secret<String>) -> Result<(), HostError> {
        let done = if self.wg_syncconf.is_some() {
            self.run_with_input(Program::WgSyncconf, Rights::NetAdmin, &[interface], Some(text)).await
        } else {
            let args = ["syncconf", interface, "/dev/stdin"];
            self.run_with_input(Program::Wg, Rights::NetAdmin, &args, Some(text)).await
        };
        done.map(drop)
    }

    /// Calls a program with a text on its standard input, the only way to pass a secret.
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
        let child = self.command(program, rights, args)?.stdin(stdin.map_err(start)?).spawn().map_err(start)?;
        let signal = if self.is_by_sudo(rights) { Signal::SIGTERM } else { Signal::SIGKILL };
        let mut group = Group::of(&child, signal);
        let mut end = pin!(child.wait_with_output());
        match time::timeout(self.timeout, &mut end).await {
            Ok(Ok(output)) => {
                group.keep();
                read(name, &output)
            }
            Ok(Err(source)) => Err(start(source)),
            Err(_) => {
                group.end();
                // The command must not overtake later calls.
                let _ = time::timeout(ENDING, end).await;
                Err(HostError::TimedOut { command: name, after: self.timeout })
            }
        }
    }

    /// Builds the command of a call. All argument lists are built here.
    fn command(&self, program: Program, rights: Rights, args: &[&str]) -> Result<process::Command, HostError> {
        let path = match program {
            Program::Ip => self.ip.as_path(),
            Program::Wg => self.wg.as_path(),
            Program::WireguardGo => self.wireguard_go.as_deref().ok_or_else(|| program.missing())?,
            Program::WgSyncconf => self.wg_syncconf.as_deref().ok_or_else(|| program.missing())?,
            Program::Sudo => return Err(program.missing()), // never called alone: sudo is the prefix of other calls
        };
        let prefix = if self.is_by_sudo(rights) { self.prefix.as_slice() } else { &[] };
        let mut words = prefix.iter().map(OsString::as_os_str).chain([path.as_os_str()]);
        let mut command = process::Command::new(words.next().unwrap_or(path.as_os_str()));
        command
            .args(words)
            .args(args)
            // Error texts are compared, so they must be in English; and wireguard-go reads variables of its own:
            // WG_PROCESS_FOREGROUND makes it hang, LOG_LEVEL makes it keep our pipes open.
            .env_clear()
            .envs([("LC_ALL", "C"), ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")])
            // An interrupt typed at the worker's terminal must not end wireguard-go, which outlives the worker.
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    fn is_by_sudo(&self, rights: Rights) -> bool {
        rights == Rights::NetAdmin && !self.prefix.is_empty()
    }
}

/// A running command with its child processes, which are terminated when the value is dropped.
struct Group {
    leader: Option<Pid>,
    /// The signal that terminates the group. Sudo must not be killed: its command would continue, and could not be
    /// ended. On this signal sudo terminates its command.
    signal: Signal,
}

impl Group {
    fn of(child: &process::Child, signal: Signal) -> Self {
        Self { leader: child.id().and_then(|id| id.try_into().ok()).map(Pid::from_raw), signal }
    }

    /// Keeps the processes that remain after the command has ended (wireguard-go).
    fn keep(mut self) {
        self.leader = None;
    }

    fn end(&mut self) {
        if let Some(leader) = self.leader.take() {
            let _ = killpg(leader, self.signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns an anonymous file that only this process and its child can reach, and that is complete before the child
/// starts.
///
/// A pipe would not do: if this process is killed before it has written everything, `wg` takes the part that arrived
/// for the whole configuration, and without any line it removes all peers and the private key.
fn complete_file(text: &Secret<String>) -> io::Result<File> {
    let mut file = File::from(memfd_create("input", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text.expose().as_bytes())?;
    file.rewind()?;
    Ok(file)
}

fn read(command: String, output: &Output) -> Result<String, HostError> {
    if !output.status.success() {
        // wireguard-go always writes to stderr, and writes its errors to stdout.
        let printed = [&output.stderr[..], b"\n", &output.stdout[..]].concat();
        let mut stderr = scrub(&String::from_utf8_lossy(&printed));
        if stderr.starts_with("sudo: ") {
            stderr.push_str(
                "; check that uncloud's rules for sudo are installed (packaging/sudoers.d): `sudo -n -l` lists them",
            );
        }
        return Err(HostError::Command { command, status: output.status.to_string(), stderr });
    }
    String::from_utf8(output.stdout.clone())
        .map_err(|_| HostError::Output { command, reason: "it is not valid UTF-8".to_owned() })
}

#[cfg(test)]
mod tests;
