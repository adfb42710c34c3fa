//! The hosts that this machine simulates: their capabilities, and the worker of each.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use uncloud_wire::Secret;

use super::settings::{BILLING, Settings};
use crate::embedded::{ChildSpec, DataDir, HostRecord, Log, StopPlan, find_program, netns};

/// Longest wait for a worker to stop; longer than a worker gives its running jobs after the first SIGTERM.
const WORKER_GRACE: Duration = Duration::from_secs(40);

/// Prepares one host: a network namespace where possible, and the WireGuard implementation there. A missing capability
/// becomes a dry run that reports the reason, never an error.
pub(super) fn prepare(data_dir: &DataDir, host: &str, settings: &Settings) -> anyhow::Result<HostRecord> {
    use std::os::unix::fs::DirBuilderExt as _;
    let state_dir = data_dir.path().join("hosts").join(host);
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&state_dir);
    made.with_context(|| format!("creating {}", state_dir.display()))?;
    let record = HostRecord { queue: host.to_owned(), state_dir, ..HostRecord::default() };
    if settings.host_network {
        return Ok(match probe(None) {
            Ok(implementation) => HostRecord { wireguard_implementation: Some(implementation.to_owned()), ..record },
            Err(missing) => HostRecord { dry_run: Some(missing), ..record },
        });
    }
    if !Uid::effective().is_root() {
        let missing =
            "not root: WireGuard and a network namespace for each host need `uncloud up` to be started as root";
        return Ok(HostRecord { dry_run: Some(missing.to_owned()), ..record });
    }
    let namespace = netns::name(data_dir.id(), host);
    if let Err(error) = netns::create(&namespace) {
        let missing = format!("can't create a network namespace: {error:#}");
        return Ok(HostRecord { dry_run: Some(missing), ..record });
    }
    match probe(Some(&namespace)) {
        Ok(implementation) => {
            let wireguard_implementation = Some(implementation.to_owned());
            Ok(HostRecord { netns: Some(namespace), wireguard_implementation, ..record })
        }
        Err(missing) => {
            netns::remove(&namespace)?;
            Ok(HostRecord { dry_run: Some(missing), ..record })
        }
    }
}

/// Determines by trial which WireGuard implementation works in a namespace (or in the machine's own network); the error
/// names the missing capability.
fn probe(namespace: Option<&str>) -> Result<&'static str, String> {
    if find_program("wg").is_none() {
        return Err("wg is not installed: apt-get install wireguard-tools or apk add wireguard-tools".to_owned());
    }
    let name = format!("wgprobe{}", std::process::id() % 10_000_000);
    let ip = |args: &[&str]| {
        let place = namespace.map(|namespace| ["-n", namespace]).into_iter().flatten();
        netns::run(&place.chain(args.iter().copied()).collect::<Vec<_>>())
    };
    let delete = || ip(&["link", "del", "dev", &name]).map_err(|error| format!("{error:#}"));
    let Err(kernel) = ip(&["link", "add", "dev", &name, "type", "wireguard"]) else {
        delete()?;
        return Ok("kernel");
    };
    if find_program("wireguard-go").is_none() {
        return Err(format!("this kernel has no WireGuard ({kernel:#}), and wireguard-go is not installed"));
    }
    if !Path::new("/dev/net/tun").exists() {
        return Err(
            "/dev/net/tun, which wireguard-go needs, is missing: modprobe tun, or give the container that device"
                .into(),
        );
    }
    match ip(&["tuntap", "add", "dev", &name, "mode", "tun"]) {
        Ok(_) => {
            delete()?;
            Ok("wireguard-go")
        }
        Err(error) => Err(format!("can't create a tunnel: {error:#}")),
    }
}

/// Fails if a worker in its own namespace would have to reach Redis over the network, which does not exist there.
pub(super) fn ensure_redis_reachable(hosts: &[HostRecord], redis_url: &Secret<String>) -> anyhow::Result<()> {
    let scheme = redis_url.expose().split("://").next().unwrap_or_default();
    let is_socket = matches!(scheme, "unix" | "redis+unix" | "valkey+unix");
    match hosts.iter().find(|host| host.netns.is_some()) {
        Some(host) if !is_socket => bail!(
            "the worker of {} runs in a network namespace of its own, from where it cannot reach REDIS_URL: start with \
             --host-network, or let REDIS_URL name a unix socket (redis+unix:///path), or omit it",
            host.queue
        ),
        _ => Ok(()),
    }
}

/// Settings that all workers are started with.
#[derive(Debug)]
pub(super) struct Workers {
    program: PathBuf,
    redis_url: Secret<String>,
    redis_ca_file: Option<PathBuf>,
    database_url: Secret<String>,
}

impl Workers {
    /// Finds `uncloud-worker` in the folder of the running program.
    pub(super) fn new(
        redis_url: Secret<String>,
        redis_ca_file: Option<PathBuf>,
        database_url: Secret<String>,
    ) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("finding our own program")?;
        let program = own.with_file_name("uncloud-worker");
        if !program.is_file() {
            bail!("{} is missing: build it (cargo build), or install both programs together", program.display());
        }
        Ok(Self { program, redis_url, redis_ca_file, database_url })
    }

    /// Returns the worker of a host. It has no database access: jobs contain all that the worker needs.
    pub(super) fn of_host(&self, host: &HostRecord) -> ChildSpec {
        let mut args = vec![OsString::from("--queue"), (&host.queue).into()];
        args.extend(host_args(host));
        self.in_network_of(host, args)
    }

    /// Returns the command `restore` for a host, which restores the tunnels recorded in its state folder.
    pub(super) fn restore(&self, host: &HostRecord) -> ChildSpec {
        let mut args = vec![OsString::from("restore")];
        args.extend(host_args(host));
        self.in_network_of(host, args)
    }

    /// Returns the worker for the provider's own jobs, which use the database.
    pub(super) fn of_billing(&self, state_dir: &Path) -> ChildSpec {
        let args = vec!["--queue".into(), BILLING.into(), "--state-dir".into(), state_dir.into()];
        let mut spec = self.spec(BILLING, self.program.clone(), args);
        spec.env.push(("DATABASE_URL".to_owned(), self.database_url.expose().into()));
        spec
    }

    fn in_network_of(&self, host: &HostRecord, args: Vec<OsString>) -> ChildSpec {
        match (&host.netns, find_program("ip")) {
            (Some(namespace), Some(ip)) => {
                // `ip netns exec` becomes the program, so its process is the worker's.
                let mut all: Vec<OsString> = vec!["netns".into(), "exec".into(), namespace.into()];
                all.push((&self.program).into());
                all.extend(args);
                self.spec(&host.queue, ip, all)
            }
            _ => self.spec(&host.queue, self.program.clone(), args),
        }
    }

    fn spec(&self, queue: &str, program: PathBuf, args: Vec<OsString>) -> ChildSpec {
        let inherited = ["PATH", "RUST_LOG"].into_iter();
        let mut env: Vec<(String, OsString)> =
            inherited.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?))).collect();
        env.push(("REDIS_URL".to_owned(), self.redis_url.expose().into()));
        env.extend(self.redis_ca_file.iter().map(|file| ("REDIS_CA_FILE".to_owned(), file.into())));
        ChildSpec {
            name: format!("worker {queue}"),
            program,
            args,
            env,
            account: None,
            log: Log::Inherit,
            stop: StopPlan { signal: Signal::SIGTERM, hurry: Signal::SIGTERM, grace: WORKER_GRACE },
        }
    }
}

fn host_args(host: &HostRecord) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["--state-dir".into(), (&host.state_dir).into()];
    if let Some(implementation) = &host.wireguard_implementation {
        args.extend(["--wireguard-implementation".into(), implementation.into()]);
    }
    if let Some(missing) = &host.dry_run {
        args.extend(["--dry-run".into(), missing.into()]);
    }
    args
}

#[cfg(test)]
mod tests {
    use super::{HostRecord, Secret, Workers, ensure_redis_reachable};

    #[test]
    fn namespaced_worker_with_redis_over_network_is_refused() {
        let alone = [HostRecord { queue: "a.net".into(), netns: Some("ns".into()), ..HostRecord::default() }];
        let url = |url: &str| Secret::new(url.to_owned());
        ensure_redis_reachable(&alone, &url("redis+unix:///run/redis.sock")).expect("by socket");
        let message = ensure_redis_reachable(&alone, &url("redis://db:6379")).expect_err("by network").to_string();
        assert!(message.contains("--host-network"), "{message}");
        ensure_redis_reachable(&[HostRecord::default()], &url("redis://db:6379")).expect("in the machine's network");
    }

    #[test]
    fn worker_specs_contain_the_database_for_billing_only() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let workers = Workers {
            program: "/x/uncloud-worker".into(),
            redis_url: secret("r"),
            redis_ca_file: Some("/x/ca.pem".into()),
            database_url: secret("d"),
        };
        let has_database = |spec: crate::embedded::ChildSpec| spec.env.iter().any(|(name, _)| name == "DATABASE_URL");
        assert!(has_database(workers.of_billing("/x".as_ref())));
        assert!(!has_database(workers.of_host(&HostRecord::default())));
        assert!(!has_database(workers.restore(&HostRecord::default())));
        let has_ca =
            workers.of_host(&HostRecord::default()).env.contains(&("REDIS_CA_FILE".into(), "/x/ca.pem".into()));
        assert!(has_ca, "a worker trusts the server's authority");
    }
}
