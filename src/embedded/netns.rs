//! Network namespaces: a separate network for each host that `uncloud up` runs, so that the machine's network is
//! untouched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::find_program;

/// The folder in which `ip netns` keeps namespaces.
const FOLDER: &str = "/run/netns";
/// The time within which `wireguard-go` must notice that its link is gone.
const LINKS_GONE: Duration = Duration::from_secs(5);

/// Returns the name of the namespace of `host` in instance `id`.
pub fn name(id: &str, host: &str) -> String {
    format!("{}{host}", prefix(id))
}

fn prefix(id: &str) -> String {
    format!("uncloud-{id}-")
}

/// Finds the program `ip`; the error names its package.
pub fn ip() -> anyhow::Result<PathBuf> {
    find_program("ip").context("`ip` is not installed: apt-get install iproute2 or apk add iproute2")
}

/// Creates a namespace with a working loopback.
pub fn create(name: &str) -> anyhow::Result<()> {
    run(&["netns", "add", name])?;
    if let Err(error) = run(&["-n", name, "link", "set", "lo", "up"]) {
        let _ = run(&["netns", "del", name]);
        return Err(error);
    }
    Ok(())
}

/// Runs `ip` with arguments; the error contains its messages.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(ip()?);
    let output = command.args(args).stdin(Stdio::null()).output().context("running ip")?;
    if !output.status.success() {
        bail!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Removes a namespace with the links in it. The links are removed first: a `wireguard-go` ends with its link, but
/// would keep running with it if only the name of the namespace were removed.
pub fn remove(name: &str) -> anyhow::Result<()> {
    if !Path::new(FOLDER).join(name).exists() {
        return Ok(());
    }
    // A namespace that cannot be entered any more (a crash has removed its mount) has no links to remove.
    for link in links(name).unwrap_or_default() {
        if let Err(error) = run(&["-n", name, "link", "del", "dev", &link]) {
            tracing::warn!("{error:#}");
        }
    }
    let deadline = Instant::now() + LINKS_GONE;
    while has_processes(name) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    run(&["netns", "del", name])?;
    Ok(())
}

/// Removes every namespace of an instance.
pub fn remove_all_of(id: &str) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(FOLDER).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with(&prefix(id)) {
            tracing::info!(name, "removing a network namespace");
            remove(&name)?;
        }
    }
    Ok(())
}

/// Returns the links of a namespace, without the loopback and links that cannot be removed.
fn links(name: &str) -> anyhow::Result<Vec<String>> {
    let listing = run(&["-n", name, "-o", "link", "show"])?;
    // "3: h0@if2: <BROADCAST,MULTICAST> mtu 1500 ..."
    let names = listing.lines().filter_map(|line| line.split(": ").nth(1)?.split('@').next());
    Ok(names.filter(|link| *link != "lo" && !is_builtin(link)).map(str::to_owned).collect())
}

/// Returns true for the tunnels that the kernel itself creates in each namespace.
fn is_builtin(link: &str) -> bool {
    ["tunl0", "sit0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0"].contains(&link)
}

fn has_processes(name: &str) -> bool {
    run(&["netns", "pids", name]).is_ok_and(|pids| !pids.trim().is_empty())
}
