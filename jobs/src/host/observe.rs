//! Reads the machine's state with six small commands, none of which prints a secret.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;
use serde::Deserialize;
use uncloud_wire::desired::InterfaceName;

use super::{
    HostError,
    command::{Commands, Program, Rights},
    peers::{self, PeerTable},
    scrub::scrub,
};

/// The metric of the routes that catch traffic while an interface is down: high enough to never win over the
/// interface's own route, unusual enough to tell ours from others.
pub(super) const UNREACHABLE_METRIC: u32 = 4_278_198_272;

/// The observed state of one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Observed {
    /// The interface; none if it does not exist.
    pub(super) link: Option<Link>,
    /// The prefixes of unreachable routes with our metric, on the whole machine.
    pub(super) unreachable: BTreeSet<IpNet>,
}

/// An existing interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) up: bool,
    pub(super) mtu: u32,
    /// The addresses without link-local ones, which the kernel adds.
    pub(super) addresses: BTreeSet<IpNet>,
    /// The routes of the main table, without the kernel's own. A list, since a prefix may have several metrics.
    pub(super) routes: Vec<IpNet>,
    /// The public key as `wg` prints it; `(none)` without a private key.
    pub(super) public_key: String,
    pub(super) listen_port: u16,
    pub(super) peers: PeerTable,
}

/// Reads an interface, and the machine's unreachable routes.
pub(super) async fn observe(commands: &Commands, interface: &InterfaceName) -> Result<Observed, HostError> {
    let name = interface.as_str();
    let ip = |args: &'static str| {
        let args = words(args, name);
        async move { commands.run(Program::Ip, Rights::Unprivileged, &args).await }
    };
    let wg = |args: &'static str| {
        let args = words(args, name);
        async move { commands.run(Program::Wg, Rights::NetAdmin, &args).await }
    };
    let addresses = match ip(SHOW_ADDRESSES).await {
        Ok(printed) => parsed(SHOW_ADDRESSES, name, parse_link(&printed, name))?,
        Err(error) if error.stderr().contains("does not exist") => None,
        Err(error) => return Err(error),
    };
    let Some((up, mtu, addresses)) = addresses else {
        let unreachable = ip(SHOW_UNREACHABLE).await?;
        return Ok(Observed { link: None, unreachable: parsed_unreachable(&unreachable)? });
    };
    let (unreachable, routes, public_key, listen_port, peers) = tokio::try_join!(
        ip(SHOW_UNREACHABLE),
        ip(SHOW_ROUTES),
        wg("show IF public-key"),
        wg("show IF listen-port"),
        wg("show IF allowed-ips"),
    )?;
    let link = Link {
        up,
        mtu,
        addresses,
        routes: parsed(SHOW_ROUTES, name, parse_routes(&routes))?,
        public_key: public_key.trim().to_owned(),
        listen_port: parsed("show IF listen-port", name, parse_port(&listen_port))?,
        peers: parsed("show IF allowed-ips", name, peers::parse(&peers))?,
    };
    Ok(Observed { link: Some(link), unreachable: parsed_unreachable(&unreachable)? })
}

const SHOW_ADDRESSES: &str = "-j addr show dev IF";
/// The arguments that show routes: with `table all` one call returns both families; the parser skips other tables.
const SHOW_ROUTES: &str = "-j route show table all dev IF";
const SHOW_UNREACHABLE: &str = "-j route show table all type unreachable";

/// Returns the arguments of a template, in which `IF` is the interface.
fn words<'a>(template: &'static str, interface: &'a str) -> Vec<&'a str> {
    template.split(' ').map(|word| if word == "IF" { interface } else { word }).collect()
}

fn parsed<T>(template: &'static str, interface: &str, result: Result<T, String>) -> Result<T, HostError> {
    let program = if template.starts_with("show") { "wg" } else { "ip" };
    let command = || format!("{program} {}", words(template, interface).join(" "));
    result.map_err(|reason| HostError::Output { command: command(), reason: scrub(&reason) })
}

fn parsed_unreachable(printed: &str) -> Result<BTreeSet<IpNet>, HostError> {
    parsed(SHOW_UNREACHABLE, "", parse_unreachable(printed))
}

#[derive(Deserialize)]
struct AddrShow {
    ifname: Option<String>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    mtu: u32,
    #[serde(default)]
    addr_info: Vec<AddrInfo>,
}

#[derive(Deserialize)]
struct AddrInfo {
    local: Option<IpAddr>,
    prefixlen: Option<u8>,
}

#[derive(Deserialize)]
struct RouteShow {
    /// A prefix, an address, or `default`.
    dst: String,
    /// The table, which `ip` omits for the main table.
    table: Option<serde_json::Value>,
    protocol: Option<String>,
    metric: Option<u32>,
    /// The preference, which every IPv6 route has and no IPv4 route; it distinguishes the two `default`s.
    pref: Option<serde_json::Value>,
}

impl RouteShow {
    fn is_main(&self) -> bool {
        self.table.as_ref().is_none_or(|table| table == "main")
    }

    fn prefix(&self) -> Result<IpNet, String> {
        let unspecified = if self.pref.is_some() { "::/0" } else { "0.0.0.0/0" };
        let text = if self.dst == "default" { unspecified } else { self.dst.as_str() };
        // `ip` prints a host route without its length.
        text.parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| format!("{text:?} is not a valid prefix"))
    }
}

type UpMtuAddresses = (bool, u32, BTreeSet<IpNet>);

/// Parses the output of `ip -j addr show`; some versions print empty entries before the requested one.
fn parse_link(printed: &str, interface: &str) -> Result<Option<UpMtuAddresses>, String> {
    let links: Vec<AddrShow> = serde_json::from_str(printed).map_err(|error| error.to_string())?;
    let Some(link) = links.into_iter().find(|link| link.ifname.as_deref() == Some(interface)) else {
        return Ok(None);
    };
    let networks = link.addr_info.iter().filter_map(|info| Some((info.local?, info.prefixlen?)));
    let ours = networks.filter(|(address, _)| !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()));
    let addresses = ours.map(|(address, len)| IpNet::new(address, len).map_err(|_| format!("{address}/{len}")));
    Ok(Some((link.flags.iter().any(|flag| flag == "UP"), link.mtu, addresses.collect::<Result<_, _>>()?)))
}

fn parse_routes(printed: &str) -> Result<Vec<IpNet>, String> {
    let routes: Vec<RouteShow> = serde_json::from_str(printed).map_err(|error| error.to_string())?;
    let ours = routes.iter().filter(|route| route.is_main() && route.protocol.as_deref() != Some("kernel"));
    let mut prefixes = ours.map(RouteShow::prefix).collect::<Result<Vec<_>, _>>()?;
    prefixes.sort_unstable();
    Ok(prefixes)
}

fn parse_unreachable(printed: &str) -> Result<BTreeSet<IpNet>, String> {
    let routes: Vec<RouteShow> = serde_json::from_str(printed).map_err(|error| error.to_string())?;
    let ours = routes.iter().filter(|route| route.is_main() && route.metric == Some(UNREACHABLE_METRIC));
    ours.map(RouteShow::prefix).collect()
}

fn parse_port(printed: &str) -> Result<u16, String> {
    printed.trim().parse().map_err(|_| format!("{printed:?} is not a valid port"))
}

#[cfg(test)]
mod tests;
