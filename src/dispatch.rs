//! Maps each kind of job to the module that prepares and settles it, and each delivery to the module that provides it.
//! The matches are exhaustive: a missing kind does not compile.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uncloud_wire::{JobId, KINDS, Kind};

use crate::{
    billing,
    error::Error,
    orders,
    queue::{self, Claimed, JobKinds, Prepared, Settled, Succeeded},
    seal::Sealer,
    services::{Delivery, Service},
    vpn,
};

/// Returns the service that provides a kind of delivery; none if staff deliver.
pub fn services(delivery: Delivery) -> Option<&'static dyn Service> {
    match delivery {
        Delivery::VpnNetwork => Some(&vpn::VpnService),
        Delivery::Manual => None,
    }
}

/// Bills orders in the transaction that has placed them, if the seller wants that.
pub fn placed<'a>(
    tx: &'a mut PgConnection,
    user_id: i64,
    orders: &'a [i64],
    now: DateTime<Utc>,
) -> BoxFuture<'a, Result<(), Error>> {
    Box::pin(billing::run::bill_placed(tx, user_id, orders, now))
}

/// The implementation of all kinds of jobs.
pub struct Kinds {
    /// Decrypts secrets that are encrypted at rest.
    pub sealer: Arc<Sealer>,
}

impl JobKinds for Kinds {
    fn prepare<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        jobs: &'a [Claimed],
    ) -> BoxFuture<'a, anyhow::Result<Vec<Prepared>>> {
        Box::pin(async move {
            let mut prepared: HashMap<JobId, Prepared> = HashMap::with_capacity(jobs.len());
            for &kind in KINDS {
                let of_kind: Vec<&Claimed> = jobs.iter().filter(|job| Kind::parse(&job.kind) == Some(kind)).collect();
                match kind {
                    _ if of_kind.is_empty() => {}
                    Kind::VpnApply => prepared.extend(vpn::prepare(tx, &self.sealer, &of_kind).await?),
                    Kind::VpnStatus => prepared.extend(vpn::prepare_status(&of_kind)),
                    Kind::VpnReconcile => prepared.extend(vpn::prepare_reconcile(tx, &of_kind).await?),
                    Kind::JobCleanup => prepared.extend(queue::prepare_cleanup(tx, &of_kind).await?),
                    Kind::BillRun | Kind::BillPart | Kind::BillEnd => prepared.extend(billing::jobs::prepare(&of_kind)),
                    Kind::OrderService => prepared.extend(orders::prepare(&of_kind)),
                }
            }
            let unknown = |job: &Claimed| {
                let kind = &job.kind;
                Prepared::Fail(format!(
                    "this server does not know jobs of kind {kind}; update it, then run the job again"
                ))
            };
            Ok(jobs.iter().map(|job| prepared.remove(&job.job_id).unwrap_or_else(|| unknown(job))).collect())
        })
    }

    fn settle<'a>(&'a self, tx: &'a mut PgConnection, job: &'a Succeeded) -> BoxFuture<'a, sqlx::Result<Settled>> {
        Box::pin(async move {
            match Kind::parse(&job.kind) {
                Some(Kind::VpnApply) => vpn::settle(tx, &job.queue, &job.payload, &job.result).await,
                Some(Kind::VpnStatus) => vpn::settle_status(tx, &job.payload, &job.result).await,
                Some(Kind::VpnReconcile | Kind::JobCleanup) => {
                    Ok(Settled::Unreadable("a worker reported on a job that only servers run".into()))
                }
                // They were completed in the database.
                Some(Kind::BillRun | Kind::BillPart | Kind::BillEnd | Kind::OrderService) => Ok(Settled::Done),
                None => Ok(Settled::Unreadable(format!("this server does not know jobs of kind {}", job.kind))),
            }
        })
    }
}
