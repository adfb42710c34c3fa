//! The table {public key -> allowed IPs} of a configuration, or as `wg` reports it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use ipnet::IpNet;
use ring::digest;
use uncloud_wire::desired::{InterfaceConfig, Peer};

/// Public keys by allowed IPs. Keys stay text: a manually added peer may have one that we would refuse, and must be
/// removed all the same.
pub(super) type PeerTable = BTreeMap<String, BTreeSet<IpNet>>;

/// Returns the peers of a configuration.
pub(super) fn desired(config: &InterfaceConfig) -> PeerTable {
    let entry = |peer: &Peer| (peer.public_key.to_string(), peer.allowed_ips.iter().copied().collect());
    config.peers.iter().map(entry).collect()
}

/// Parses the output of `wg show IF allowed-ips`: a line per peer, a tab after the key, then prefixes or `(none)`.
pub(super) fn parse(printed: &str) -> Result<PeerTable, String> {
    printed.lines().map(parse_line).collect()
}

fn parse_line(line: &str) -> Result<(String, BTreeSet<IpNet>), String> {
    let (key, prefixes) = line.split_once('\t').ok_or_else(|| format!("{line:?} does not contain a tab"))?;
    let prefixes = prefixes.split(' ').filter(|word| !word.is_empty() && *word != "(none)");
    let parsed = prefixes.map(|word| word.parse().map_err(|_| format!("{word:?} is not a valid prefix")));
    Ok((key.to_owned(), parsed.collect::<Result<_, _>>()?))
}

/// Joins the allowed IPs into one text.
pub(super) fn join(prefixes: &BTreeSet<IpNet>) -> String {
    if prefixes.is_empty() {
        return "(none)".to_owned();
    }
    prefixes.iter().map(IpNet::to_string).collect::<Vec<_>>().join(" ")
}

/// Returns the SHA-256 digest in hexadecimal of a line per peer: public key, tab, allowed IPs, newline.
///
/// Lines are sorted by the key's text. Allowed IPs are sorted by address (IPv4 first) and separated by one space;
/// `(none)` stands for none. `wg` itself prints them in an order of its own.
pub(super) fn sha256(peers: &PeerTable) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for (key, prefixes) in peers {
        context.update(format!("{key}\t{}\n", join(prefixes)).as_bytes());
    }
    context.finish().as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of wireguard-tools 1.0.20210914.
    const PRINTED: &str = "6xCGAILBdjOcwVFKvN6eb1Q6OjRc+O5e5r7yNH0fNSY=\t2a0a:e5c1:201::/48 10.1.0.0/24\n\
                           WKAxWkFR6CfM457kVK66keBRhwtf2n1AfvwcADwqbkM=\t(none)\n";

    #[test]
    fn parse_wg_output_returns_peers() {
        let peers = parse(PRINTED).expect("valid");
        assert_eq!(peers.len(), 2);
        assert_eq!(join(&peers["6xCGAILBdjOcwVFKvN6eb1Q6OjRc+O5e5r7yNH0fNSY="]), "10.1.0.0/24 2a0a:e5c1:201::/48");
        assert_eq!(join(&peers["WKAxWkFR6CfM457kVK66keBRhwtf2n1AfvwcADwqbkM="]), "(none)");
        assert!(parse("").expect("valid").is_empty());
        assert!(parse("no tab").is_err() && parse("key\t2a0a::/129").is_err());
    }

    #[test]
    fn sha256_of_reordered_peers_is_the_same() {
        // printf '%s\n' "6xC...<tab>10.1.0.0/24 2a0a:e5c1:201::/48" "WKA...<tab>(none)" | sha256sum
        let expected = "dac5029d606b007fa9de4532dea6fe2a1703b0f11f83352984690f7fba6607ea";
        assert_eq!(sha256(&parse(PRINTED).expect("valid")), expected);
        let turned: String = PRINTED.lines().rev().flat_map(|line| [line, "\n"]).collect();
        assert_eq!(sha256(&parse(&turned).expect("valid")), expected);
        assert_ne!(sha256(&PeerTable::new()), expected);
    }
}
