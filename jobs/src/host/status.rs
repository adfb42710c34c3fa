//! The handshakes and traffic of an interface's peers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uncloud_wire::desired::{InterfaceName, PeerStatus, StatusReport};

use super::{
    Host, HostError, Mode,
    command::{Program, Rights},
};

impl Host {
    /// Returns the counters of `wg` for each peer. A dry run has no peers.
    pub async fn status(&self, interface: &InterfaceName) -> Result<StatusReport, HostError> {
        let commands = match &self.mode {
            Mode::Configure(commands) => commands,
            Mode::DryRun(_) => return Ok(StatusReport { peers: Vec::new() }),
        };
        // Never use `dump`: its output starts with the private key.
        let show = async |what| commands.run(Program::Wg, Rights::NetAdmin, &["show", interface.as_str(), what]).await;
        let handshakes = show("latest-handshakes").await?;
        let transfer = show("transfer").await?;
        Ok(StatusReport { peers: join(&handshakes, &transfer) })
    }
}

/// Joins two tables of lines that start with a key and a tab. A peer that was added or removed in between is omitted.
fn join(handshakes: &str, transfer: &str) -> Vec<PeerStatus> {
    let times: BTreeMap<&str, i64> = handshakes
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(key, seconds)| Some((key, seconds.parse().ok()?)))
        .collect();
    transfer.lines().filter_map(|line| peer(line, &times)).collect()
}

fn peer(line: &str, times: &BTreeMap<&str, i64>) -> Option<PeerStatus> {
    let mut fields = line.split('\t');
    let key = fields.next()?;
    let seconds = *times.get(key)?;
    Some(PeerStatus {
        public_key: key.parse().ok()?,
        last_handshake_at: Some(seconds)
            .filter(|seconds| *seconds > 0)
            .and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0)),
        received_bytes: fields.next()?.parse().ok()?,
        sent_bytes: fields.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_tables_of_wg_matches_by_key() {
        let (a, b) = ("hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=", "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=");
        let peers = join(&format!("{a}\t1795355593\n{b}\t0\n"), &format!("{a}\t692\t524\n{b}\t0\t0\n"));
        assert_eq!(peers.len(), 2);
        assert_eq!(peers[0].last_handshake_at.map(|at| at.timestamp()), Some(1_795_355_593));
        assert_eq!((peers[0].received_bytes, peers[0].sent_bytes), (692, 524));
        assert_eq!(peers[1].last_handshake_at, None);
    }
}
