//! The repeated sending of the full state: of a host's pools on request of staff, of all pools by schedule.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uncloud_wire::JobId;

use super::{db, hostname::Hostname};
use crate::{
    queue::{Claimed, Prepared, wake_relays},
    vpn::pools,
};

/// The number of pools that a scheduled job locks in one transaction; customers wait no longer than for these.
const BATCH: i64 = 50;

/// Sends the full state of every pool of a host again; returns the jobs.
pub async fn reconcile(database: &PgPool, hostname: &Hostname) -> sqlx::Result<Vec<JobId>> {
    let mut tx = crate::request_context::begin(database).await?;
    let sent = send(&mut tx, Some(hostname.as_str()), 0, i64::MAX).await?;
    tx.commit().await?;
    wake_relays(database).await?;
    Ok(sent.into_iter().map(|(_, job)| job).collect())
}

/// Enqueues a job for each pool after that id, and returns the pools with their jobs.
async fn send(
    tx: &mut PgConnection,
    hostname: Option<&str>,
    after_pool_id: i64,
    limit: i64,
) -> sqlx::Result<Vec<(i64, JobId)>> {
    let mut pools = sqlx::query!(
        "with next as (
             select pool_id from vpn_pool where pool_id > $1 and ($2::text is null or vpn_hostname = $2)
             order by pool_id limit $3 for update)
         update vpn_pool set generation = next_generation(generation) from next where vpn_pool.pool_id = next.pool_id
         returning vpn_pool.pool_id, vpn_hostname",
        after_pool_id,
        hostname,
        limit,
    )
    .fetch_all(&mut *tx)
    .await?;
    pools.sort_unstable_by_key(|pool| pool.pool_id);
    let mut sent = Vec::with_capacity(pools.len());
    for pool in pools {
        let host: Hostname = pool.vpn_hostname.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        let job = pools::request_apply(tx, pool.pool_id, host.queue(), None).await?;
        db::set_pool_job(tx, pool.pool_id, job).await?;
        sent.push((pool.pool_id, job));
    }
    Ok(sent)
}

/// The payload of jobs of kind `vpn_reconcile`.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reconcile {
    /// The only host whose pools to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vpn_hostname: Option<String>,
    /// The id up to which pools are done, which the previous job sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_pool_id: Option<i64>,
}

/// Checks the payload of a schedule of `vpn_reconcile`.
pub fn check_reconcile(payload: &Value) -> Result<(), String> {
    let right = "must be {} for all hosts, or {\"vpn_hostname\": \"vpn-1.example.ch\"} for one";
    match Reconcile::deserialize(payload) {
        _ if !payload.is_object() => Err(right.to_owned()), // a list would do for serde
        Ok(Reconcile { after_pool_id: None, vpn_hostname: None }) => Ok(()),
        Ok(Reconcile { after_pool_id: None, vpn_hostname: Some(host) }) => {
            host.parse::<Hostname>().map(drop).map_err(|error| format!("vpn_hostname {error}"))
        }
        _ => Err(right.to_owned()),
    }
}

/// Enqueues the full state of some pools; while there are more, a job of the same kind continues.
pub async fn prepare_reconcile(tx: &mut PgConnection, jobs: &[&Claimed]) -> sqlx::Result<Vec<(JobId, Prepared)>> {
    let mut prepared = Vec::with_capacity(jobs.len());
    for job in jobs {
        let done = match Reconcile::deserialize(&job.payload) {
            Ok(payload) => reconcile_some(tx, payload).await?,
            Err(error) => Prepared::Fail(format!("the job's payload is invalid: {error}")),
        };
        prepared.push((job.job_id, done));
    }
    Ok(prepared)
}

async fn reconcile_some(tx: &mut PgConnection, payload: Reconcile) -> sqlx::Result<Prepared> {
    let sent = send(tx, payload.vpn_hostname.as_deref(), payload.after_pool_id.unwrap_or(0), BATCH).await?;
    let full = i64::try_from(sent.len()).is_ok_and(|pools| pools == BATCH);
    let rest = sent.last().filter(|_| full).map(|(last, _)| Reconcile { after_pool_id: Some(*last), ..payload });
    let rest = rest.map(serde_json::to_value).transpose().map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let jobs: Vec<JobId> = sent.into_iter().map(|(_, job)| job).collect();
    Ok(Prepared::Done { result: json!({ "jobs": jobs }), rest })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::check_reconcile;

    #[test]
    fn check_reconcile_other_payload_is_refused() {
        for right in [json!({}), json!({ "vpn_hostname": "vpn-1.example.ch" })] {
            assert_eq!(check_reconcile(&right), Ok(()), "{right}");
        }
        for wrong in [
            json!({ "vpn_hostname": "billing" }),
            json!({ "vpn_hostname": 1 }),
            json!({ "hostname": "vpn-1.example.ch" }),
            json!({ "after_pool_id": 1 }),
            json!([]),
        ] {
            assert!(check_reconcile(&wrong).is_err(), "{wrong}");
        }
    }
}
