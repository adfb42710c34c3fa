//! An unprivileged worker in a world: a user of the name in the shipped sudoers rules, and what it may do.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::json;
use uncloud_testkit::{
    programs,
    world::{VPN_HOST, World},
};
use uncloud_wire::desired::DesiredInterface;

use crate::site::Site;

/// As the rules name it.
const USER: &str = "uncloud";
/// Nobody's on any machine.
const ID: u32 = 64_999;
const WORKER: &str = env!("CARGO_BIN_EXE_uncloud-worker");

/// The source of the worker's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// `--sudo`, and the shipped rules.
    Sudo,
    /// CAP_NET_ADMIN, as the systemd unit gives it.
    NetAdmin,
    /// No rights at all.
    None,
}

/// The user, made in this world only.
pub(crate) struct Account<'w> {
    world: &'w World,
    rights: Rights,
    /// Has the worker's program, which the user could not reach in the builder's home.
    bin: PathBuf,
}

impl<'w> Account<'w> {
    /// Makes the user, and with [`Rights::Sudo`] installs rules and helper as their comments say.
    pub(crate) fn new(site: &Site<'w>, rights: Rights) -> Self {
        let world = site.world;
        let etc = site.dir.path().join("etc").display().to_string();
        let packaging = programs::repository().join("packaging");
        let packaging = packaging.display();
        world.sh(&format!(
            "mkdir -p {etc}; mount -t tmpfs -o mode=755 world {etc}; cd {etc}; mkdir bin sudoers.d upper work
             for file in passwd shadow; do grep -v '^{USER}:' /etc/$file >$file; done
             echo '{USER}:x:{ID}:{ID}::/nonexistent:/bin/sh' >>passwd
             echo '{USER}:*:20000:0:99999:7:::' >>shadow; chmod 640 shadow
             for file in passwd shadow; do mount --bind $file /etc/$file; done
             mount --bind sudoers.d /etc/sudoers.d
             : udev gives everybody /dev/net/tun, a bare container does not
             mknod -m 666 tun c 10 200; mount --bind tun /dev/net/tun
             touch bin/uncloud-worker; mount --bind {WORKER} bin/uncloud-worker
             chmod 711 {}; chown {ID}:{ID} /run/wireguard",
            site.dir.path().display()
        ));
        if rights == Rights::Sudo {
            world.sh(&format!(
                "mount -t overlay world -o lowerdir=/usr/lib,upperdir={etc}/upper,workdir={etc}/work /usr/lib
                 install -D -o root -g root -m 0755 {packaging}/libexec/wg-syncconf /usr/lib/uncloud/wg-syncconf
                 install -o root -g root -m 0440 {packaging}/sudoers.d/uncloud /etc/sudoers.d/uncloud
                 visudo -c >/dev/null; chown 0:0 /run/wireguard"
            ));
        }
        let state_dir = site.dir.path().join("state");
        fs::create_dir(&state_dir).expect("state folder");
        chown(&state_dir, Some(ID), Some(ID)).expect("root may");
        Self { world, rights, bin: Path::new(&etc).join("bin") }
    }

    /// A command that the user will run on the VPN host, with no right but the ones it was made with.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.world.command(VPN_HOST, "setpriv");
        command.args([format!("--reuid={ID}"), format!("--regid={ID}"), "--clear-groups".to_owned()]);
        match self.rights {
            Rights::NetAdmin => {
                // The unit's NoNewPrivileges and CapabilityBoundingSet.
                command.args(["--no-new-privs", "--bounding-set=-all,+net_admin", "--inh-caps=+net_admin"]);
                command.arg("--ambient-caps=+net_admin");
            }
            Rights::Sudo | Rights::None => {
                command.args(["--inh-caps=-all", "--ambient-caps=-all"]);
            }
        }
        command.arg(program).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Brings the host to a state by the worker's own program: a saved state that is not in effect yet, and
    /// `uncloud-worker restore`. `retired` are routes of the state before.
    pub(crate) fn try_apply(&self, site: &Site<'_>, desired: &DesiredInterface, retired: &[&str]) -> Output {
        let state_dir = site.dir.path().join("state");
        let saved = json!({ "unfinished": true, "retired_routes": retired, "desired": desired });
        let file = state_dir.join("wg-1.json");
        fs::write(&file, saved.to_string()).expect("saved");
        chown(&file, Some(ID), Some(ID)).expect("root may");
        let mut command = self.restore(site);
        if self.rights == Rights::Sudo {
            command.arg("--sudo");
        }
        command.output().expect("starts")
    }

    /// `uncloud-worker restore` as the user, without `--sudo`.
    pub(crate) fn restore(&self, site: &Site<'_>) -> Command {
        let mut command = self.command("env");
        command.arg("-i").arg(self.bin.join("uncloud-worker")).arg("restore");
        command.arg("--state-dir").arg(site.dir.path().join("state"));
        command.args(["--wireguard-implementation", "wireguard-go"]);
        command
    }

    /// The same, which must work.
    #[track_caller]
    pub(crate) fn apply(&self, site: &Site<'_>, desired: &DesiredInterface, retired: &[&str]) {
        let output = self.try_apply(site, desired, retired);
        assert!(output.status.success(), "{:?}: {}", self.rights, said(&output));
        let saved = fs::read_to_string(site.dir.path().join("state/wg-1.json")).expect("saved");
        assert!(saved.starts_with(r#"{"unfinished":false"#), "in effect");
    }

    /// `sudo -n` with these arguments and this standard input.
    pub(crate) fn sudo(&self, args: &[&str], stdin: impl Into<Stdio>) -> Output {
        self.command("/usr/bin/sudo").arg("-n").args(args).stdin(stdin).output().expect("starts")
    }

    /// A shell of the user.
    pub(crate) fn sh(&self, script: &str, input: &str) -> Output {
        let mut child = self.command("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().expect("starts");
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        child.wait_with_output().expect("ends")
    }
}

/// Everything that was printed.
pub(crate) fn said(output: &Output) -> String {
    [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat()
}
