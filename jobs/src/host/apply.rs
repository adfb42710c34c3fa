//! The application of one desired state, step by step.

use std::{
    io,
    net::{Ipv6Addr, UdpSocket},
    time::{Duration, Instant},
};

use ipnet::IpNet;
use tokio::time;
use tracing::{info, warn};
use uncloud_wire::desired::{ApplyReport, DesiredInterface, InterfaceConfig, InterfaceName};

use super::{
    Host, HostError, LOCK_WAIT, Mode, check,
    command::{Commands, Program, Rights},
    compare,
    observe::{Observed, UNREACHABLE_METRIC, observe},
    peers,
    plan::{self, Step},
    state::{Saved, StateFile},
    syncconf,
};

/// The time that a terminated `wireguard-go` may take to release its interface name.
const USERSPACE_WAIT: Duration = Duration::from_secs(5);

impl Host {
    /// Brings the machine to the desired state and reports its new state.
    ///
    /// An error leaves the state saved but perhaps not in effect; applying it again continues. Invalid states are
    /// refused before any change. If the host already has a newer generation, nothing changes, unless that one is not
    /// in effect yet: then it is brought into effect, because the report confirms it.
    pub async fn apply(&self, desired: DesiredInterface) -> Result<ApplyReport, HostError> {
        let started = Instant::now();
        check::check(&desired)?;
        let file = StateFile::new(&self.state_dir, &desired.interface);
        let _lock = file.lock(LOCK_WAIT).await?;
        let (previous, unreadable) = load(&file).await?;
        let newer = previous.as_ref().filter(|saved| saved.desired.generation > desired.generation);
        let superseded = newer.is_some();
        if let Some(saved) = newer {
            let generation = saved.desired.generation;
            info!(interface = %desired.interface, stale = desired.generation, generation, "superseded");
            if !saved.unfinished || matches!(self.mode, Mode::DryRun(_)) {
                return Ok(ApplyReport { superseded, ..report(generation) });
            }
        }
        let desired = newer.map_or(desired, |saved| saved.desired.clone());
        let mut report = self.realise(&file, desired, previous.as_ref(), started).await?;
        report.drift.extend(unreadable);
        Ok(ApplyReport { superseded, ..report })
    }

    /// Saves a state, brings it into effect, and records that it is; under the interface's lock.
    async fn realise(
        &self,
        file: &StateFile,
        desired: DesiredInterface,
        previous: Option<&Saved>,
        started: Instant,
    ) -> Result<ApplyReport, HostError> {
        let unfinished = Saved::unfinished(desired, previous);
        let finished = unfinished.finished();
        let known = previous.is_some_and(|saved| same(saved, &finished));
        if !known {
            file.save(unfinished.clone()).await?;
        }
        let (interface, generation) = (&finished.desired.interface, finished.desired.generation);
        let commands = match &self.mode {
            Mode::Configure(commands) => commands,
            Mode::DryRun(missing) => {
                info!(%interface, generation, %missing, "the state is saved but not applied");
                return Ok(ApplyReport { dry_run: Some(missing.clone()), ..report(generation) });
            }
        };
        let work = Work { commands, interface, retired: &unfinished.retired_routes };
        let done = work.perform(finished.config(), previous).await?;
        if !known {
            file.save(finished.clone()).await?;
        }
        let report = observed_report(generation, &done);
        let changed = if done.steps.is_empty() { "nothing".to_owned() } else { format!("{:?}", done.steps) };
        let elapsed_ms = started.elapsed().as_millis();
        info!(%interface, generation, peers = report.peers, changed, drift = ?report.drift, elapsed_ms, "applied");
        Ok(report)
    }
}

/// Returns the saved state; if it is unreadable, a text for the report. The new state replaces it: refusing would leave
/// the interface without updates until an operator intervenes.
async fn load(file: &StateFile) -> Result<(Option<Saved>, Option<String>), HostError> {
    match file.load().await {
        Err(HostError::BrokenState { reason, .. }) => Ok((None, Some(format!("saved state was unreadable: {reason}")))),
        loaded => Ok((loaded?, None)),
    }
}

/// The differences that were found on the machine, the changes, and the new state.
struct Done {
    drift: Vec<String>,
    steps: Vec<Step>,
    seen: Observed,
}

/// The work on one locked interface.
struct Work<'a> {
    commands: &'a Commands,
    interface: &'a InterfaceName,
    retired: &'a [IpNet],
}

impl Work<'_> {
    /// Reads the machine's state, changes the differences, and reads again to verify the result.
    async fn perform(&self, config: Option<&InterfaceConfig>, previous: Option<&Saved>) -> Result<Done, HostError> {
        let before = observe(self.commands, self.interface).await?;
        // After an unfinished state manual changes can't be told from our own incomplete ones.
        let settled = previous.filter(|saved| !saved.unfinished);
        let drift = match (settled.map(Saved::config), config) {
            (Some(Some(old)), new) => compare::differences(&before, old, new.unwrap_or(old)),
            (Some(None), _) if before.link.is_some() => vec!["interface is unexpected".to_owned()],
            _ => Vec::new(),
        };
        let steps = match config {
            Some(config) => plan::to_present(&before, config, self.retired),
            None => plan::to_absent(&before, self.retired),
        };
        for step in &steps {
            self.step(step, config).await?;
        }
        let seen = if steps.is_empty() { before } else { observe(self.commands, self.interface).await? };
        let differences = match config {
            Some(config) => compare::differences(&seen, config, config),
            None => seen.link.iter().map(|_| "interface still exists".to_owned()).collect(),
        };
        if differences.is_empty() {
            return Ok(Done { drift, steps, seen });
        }
        let interface = self.interface.clone();
        match (config, &seen.link) {
            (Some(config), Some(link)) if link.listen_port != config.listen_port && is_taken(config.listen_port) => {
                Err(HostError::PortTaken { interface, port: config.listen_port })
            }
            _ => {
                tracing::error!(%interface, ?differences, "the host still differs after the change");
                Err(HostError::Mismatch { interface, differences })
            }
        }
    }

    async fn step(&self, step: &Step, config: Option<&InterfaceConfig>) -> Result<(), HostError> {
        let dev = self.interface.as_str();
        let metric = UNREACHABLE_METRIC.to_string();
        match step {
            Step::CreateLink => self.create_link().await,
            Step::DeleteLink => self.ip(&["link", "del", "dev", dev]).await,
            Step::SyncWireGuard => match config {
                Some(config) => self.sync(config).await,
                None => Ok(()),
            },
            Step::RaiseLink { mtu } => {
                let raised = self.ip(&["link", "set", "dev", dev, "mtu", &mtu.to_string(), "up"]).await;
                raised.map_err(|error| self.port_taken(error, config))
            }
            Step::DeleteAddress(net) => gone(self.ip(&["addr", "del", &net.to_string(), "dev", dev]).await),
            Step::DeleteRoute(net) => gone(self.ip(&["route", "del", &net.to_string(), "dev", dev]).await),
            // No other host on the link could have the same address, so there is nothing to detect.
            Step::ReplaceAddress(net @ IpNet::V6(_)) => {
                self.ip(&["addr", "replace", &net.to_string(), "dev", dev, "nodad"]).await
            }
            Step::ReplaceAddress(net) => self.ip(&["addr", "replace", &net.to_string(), "dev", dev]).await,
            Step::ReplaceRoute(net) => self.ip(&["route", "replace", &net.to_string(), "dev", dev]).await,
            Step::ReplaceUnreachable(net) => {
                self.ip(&["route", "replace", "unreachable", &net.to_string(), "metric", &metric]).await
            }
            Step::DeleteUnreachable(net) => {
                self.ip(&["route", "del", "unreachable", &net.to_string(), "metric", &metric]).await
            }
        }
    }

    async fn ip(&self, args: &[&str]) -> Result<(), HostError> {
        self.commands.run(Program::Ip, Rights::NetAdmin, args).await.map(drop)
    }

    async fn sync(&self, config: &InterfaceConfig) -> Result<(), HostError> {
        let synced = self.commands.syncconf(self.interface.as_str(), &syncconf::render(config)).await;
        synced.map_err(|error| self.port_taken(error, Some(config)))
    }

    /// Converts an error into one about a used port. The kernel opens the port when the interface goes up, wireguard-go
    /// as soon as it is set.
    fn port_taken(&self, error: HostError, config: Option<&InterfaceConfig>) -> HostError {
        match config {
            Some(config) if error.stderr().contains("Address already in use") => {
                HostError::PortTaken { interface: self.interface.clone(), port: config.listen_port }
            }
            _ => error,
        }
    }

    async fn create_link(&self) -> Result<(), HostError> {
        let created = self.ip(&["link", "add", "dev", self.interface.as_str(), "type", "wireguard"]).await;
        let Err(error) = created else { return Ok(()) };
        let stderr = error.stderr();
        if stderr.contains("File exists") {
            Ok(())
        } else if !stderr.contains("Unknown device type") && !stderr.contains("Operation not supported") {
            Err(error)
        } else if self.commands.userspace_allowed() {
            self.start_userspace().await
        } else {
            Err(HostError::NoWireGuard { interface: self.interface.clone() })
        }
    }

    /// Starts `wireguard-go`, and waits for the end of a predecessor that lost its interface a moment ago and still
    /// holds the control socket.
    async fn start_userspace(&self) -> Result<(), HostError> {
        let started = Instant::now();
        let mut warned = false;
        loop {
            let run = self.commands.run(Program::WireguardGo, Rights::NetAdmin, &[self.interface.as_str()]).await;
            match run {
                Err(HostError::Command { .. }) if started.elapsed() < USERSPACE_WAIT => {
                    if !std::mem::replace(&mut warned, true) {
                        warn!(interface = %self.interface, "wireguard-go did not start; retrying for a while");
                    }
                    time::sleep(Duration::from_millis(100)).await;
                }
                ended => return ended.map(drop),
            }
        }
    }
}

/// Accepts that the object to be deleted was already gone: with an IPv4 address the kernel removes those of its subnet,
/// with the last one all IPv4 routes of the interface.
fn gone(deleted: Result<(), HostError>) -> Result<(), HostError> {
    let went = |error: &HostError| {
        ["No such process", "Cannot assign requested address", "Address not found"]
            .iter()
            .any(|text| error.stderr().contains(text))
    };
    deleted.or_else(|error| if went(&error) { Ok(()) } else { Err(error) })
}

/// Returns true if a process listens on a UDP port. If the port is taken just before wireguard-go goes up, wireguard-go
/// accepts it and then listens on another one.
fn is_taken(port: u16) -> bool {
    let bound = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port));
    bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// Returns true if two states are the same. They are compared as text, because keys can't be compared.
fn same(a: &Saved, b: &Saved) -> bool {
    matches!((serde_json::to_vec(a), serde_json::to_vec(b)), (Ok(a), Ok(b)) if a == b)
}

fn report(applied_generation: i64) -> ApplyReport {
    ApplyReport {
        applied_generation,
        superseded: false,
        public_key: None,
        peers: 0,
        peers_sha256: None,
        drift: Vec::new(),
        dry_run: None,
    }
}

fn observed_report(generation: i64, done: &Done) -> ApplyReport {
    let report = ApplyReport { drift: done.drift.clone(), ..report(generation) };
    let Some(link) = &done.seen.link else { return report };
    ApplyReport {
        public_key: link.public_key.parse().ok(),
        peers: link.peers.len(),
        peers_sha256: Some(peers::sha256(&link.peers)),
        ..report
    }
}
