//! The latest handshake and traffic of networks, requested from the host on demand and cached for a moment.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uncloud_wire::{
    JobId, Kind,
    desired::{InterfaceName, StatusReport, StatusRequest, VERSION},
};

use super::{apply::Payload, hostname::Hostname};
use crate::{
    error::Error,
    queue::{Claimed, NewJob, Notifier, Prepared, Settled, enqueue, wait_until_finished},
    request_context,
    user::User,
    vpn::networks,
};

/// The age in seconds below which the server returns cached figures.
const FRESH_SECS: f64 = 10.0;
/// The age in seconds above which figures are not returned.
const MAX_AGE_SECS: f64 = 60.0;
/// The longest wait for the host.
const PATIENCE: Duration = Duration::from_secs(5);

/// The known state of a network's tunnel.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub observed_at: Option<DateTime<Utc>>,
    pub latest_handshake_at: Option<DateTime<Utc>>,
    pub received_bytes: Option<i64>,
    pub sent_bytes: Option<i64>,
    pub reason: Option<String>,
}

/// Returns the host's report on a network's tunnel, which is a minute old at most.
pub(super) async fn read(db: &PgPool, wake: &Notifier, caller: &User, network_id: i64) -> Result<Traffic, Error> {
    let network = networks::find(db, caller, network_id).await?;
    if let Some(traffic) = known(db, network_id, FRESH_SECS).await? {
        return Ok(traffic);
    }
    let job_id = request(db, network.pool_id, &network.vpn_hostname).await?;
    wake.queued();
    let job = wait_until_finished(db, wake, job_id, None, PATIENCE).await?;
    if let Some(traffic) = known(db, network_id, MAX_AGE_SECS).await? {
        return Ok(traffic);
    }
    let host = &network.vpn_hostname;
    let reason = job.and_then(|job| job.error).or_else(|| network.reason());
    let reason = reason.unwrap_or_else(|| format!("{host} has not responded yet; try again in a moment"));
    Ok(Traffic { reason: Some(reason), ..Traffic::default() })
}

async fn known(db: &PgPool, network_id: i64, max_age_seconds: f64) -> sqlx::Result<Option<Traffic>> {
    let row = sqlx::query!(
        r#"select traffic_at, latest_handshake_at as "latest_handshake_at?", received_bytes as "received_bytes?",
                  sent_bytes as "sent_bytes?"
           from vpn_network join vpn_pool using (pool_id) left join vpn_network_traffic using (network_id)
           where network_id = $1 and traffic_at > now() - make_interval(secs => $2)"#,
        network_id,
        max_age_seconds,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Traffic {
        observed_at: row.traffic_at,
        latest_handshake_at: row.latest_handshake_at,
        received_bytes: Some(row.received_bytes.unwrap_or(0)),
        sent_bytes: Some(row.sent_bytes.unwrap_or(0)),
        reason: None,
    }))
}

/// Enqueues one job for all concurrent requests.
async fn request(db: &PgPool, pool_id: i64, vpn_hostname: &str) -> Result<JobId, Error> {
    let host: Hostname = vpn_hostname.parse().map_err(anyhow::Error::new)?;
    let mut tx = request_context::begin(db).await?;
    let key = format!("vpn_status:{pool_id}@{host}");
    let job = NewJob::of(Kind::VpnStatus, host.queue(), json!({ "pool_id": pool_id }));
    let job_id = enqueue(&mut tx, &NewJob { unique_key: Some(&key), ..job }).await?;
    tx.commit().await?;
    Ok(job_id)
}

/// Prepares the payloads of jobs of kind `vpn_status`.
pub fn prepare_status(jobs: &[&Claimed]) -> Vec<(JobId, Prepared)> {
    let prepare = |job: &&Claimed| {
        let prepared = Payload::deserialize(&job.payload)
            .map(|Payload { pool_id }| StatusRequest { version: VERSION, interface: InterfaceName::for_pool(pool_id) })
            .and_then(|request| serde_json::to_vec(&request));
        let prepared = prepared.map_or_else(|error| Prepared::Fail(error.to_string()), Prepared::Payload);
        (job.job_id, prepared)
    };
    jobs.iter().map(prepare).collect()
}

/// Stores a host's report; rows that did not change are not written.
pub async fn settle_status(tx: &mut PgConnection, payload: &Value, result: &Value) -> sqlx::Result<Settled> {
    let (Ok(Payload { pool_id }), Ok(report)) = (Payload::deserialize(payload), StatusReport::deserialize(result))
    else {
        return Ok(Settled::Unreadable(
            "the worker's report is invalid; check that worker and server have the same version".into(),
        ));
    };
    let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let keys: Vec<Vec<u8>> = report.peers.iter().map(|peer| peer.public_key.as_bytes().to_vec()).collect();
    // Do not trust the host: there was no handshake before WireGuard existed, nor at a time that a column can't hold.
    let plausible = |at: &DateTime<Utc>| (1970..=9999).contains(&at.year());
    let handshakes: Vec<Option<DateTime<Utc>>> =
        report.peers.iter().map(|peer| peer.last_handshake_at.filter(plausible)).collect();
    let received: Vec<i64> = report.peers.iter().map(|peer| bytes(peer.received_bytes)).collect();
    let sent: Vec<i64> = report.peers.iter().map(|peer| bytes(peer.sent_bytes)).collect();
    sqlx::query!(
        "insert into vpn_network_traffic as known (network_id, latest_handshake_at, received_bytes, sent_bytes)
         select distinct on (network_id) network_id, latest_handshake_at, received_bytes, sent_bytes
         from unnest($2::bytea[], $3::timestamptz[], $4::bigint[], $5::bigint[])
             as peer (public_key, latest_handshake_at, received_bytes, sent_bytes)
         join vpn_network net on net.pool_id = $1 and net.public_key = peer.public_key and not net.deleting
         on conflict (network_id) do update
         set latest_handshake_at = excluded.latest_handshake_at, received_bytes = excluded.received_bytes,
             sent_bytes = excluded.sent_bytes
         where known is distinct from excluded",
        pool_id,
        &keys,
        &handshakes as _,
        &received,
        &sent,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("update vpn_pool set traffic_at = now() where pool_id = $1", pool_id).execute(tx).await?;
    Ok(Settled::Done)
}
