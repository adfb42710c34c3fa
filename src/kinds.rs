//! Which noun renders and settles which kind of job. The matches are exhaustive: a forgotten kind does not compile.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    billing,
    queue::{Claimed, JobId, JobKinds, NewJob, Policy, QueueName, Rendered, Settled, Succeeded},
    seal::Sealer,
    vpn,
};

/// What a job does. Rows and Redis carry the name, so a kind is never renamed; payloads only ever gain fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Bring a VPN pool's interface on its host to the desired state.
    VpnApply,
    /// Ask a VPN pool's host for the last handshakes and the traffic of its peers.
    VpnStatus,
    /// Begin a bill run and ask for its shares.
    BillRun,
    /// Bill a share of a run.
    BillPart,
    /// Give a run's bills their numbers.
    BillEnd,
}

/// All kinds.
pub const KINDS: [Kind; 5] = [Kind::VpnApply, Kind::VpnStatus, Kind::BillRun, Kind::BillPart, Kind::BillEnd];

impl Kind {
    /// Its name in rows and Redis.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VpnApply => "vpn_apply",
            Self::VpnStatus => "vpn_status",
            Self::BillRun => "bill_run",
            Self::BillPart => "bill_part",
            Self::BillEnd => "bill_end",
        }
    }

    /// The kind of that name; none when a newer program made it up.
    pub fn parse(text: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Its jobs' terms, unless whoever enqueues one wants others.
    pub const fn policy(self) -> Policy {
        match self {
            Self::VpnApply => Policy { hard_limit: Some(Duration::from_mins(5)), ..Policy::DEFAULT },
            // Somebody waits for the answer; whoever still wants it asks again.
            Self::VpnStatus => Policy {
                max_failures: 1,
                hard_limit: Some(Duration::from_secs(30)),
                keep: Duration::from_hours(1),
                ..Policy::DEFAULT
            },
            Self::BillRun | Self::BillPart | Self::BillEnd => Policy::DEFAULT,
        }
    }

    /// A job of this kind.
    pub const fn job(self, queue: &QueueName, payload: Value) -> NewJob<'_> {
        NewJob::new(queue, self.as_str(), payload, self.policy())
    }
}

/// What rendering and settling need.
pub struct Kinds {
    /// Opens what is encrypted at rest.
    pub sealer: Arc<Sealer>,
}

impl JobKinds for Kinds {
    fn render<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        jobs: &'a [Claimed],
    ) -> BoxFuture<'a, anyhow::Result<Vec<Rendered>>> {
        Box::pin(async move {
            let mut rendered: HashMap<JobId, Rendered> = HashMap::with_capacity(jobs.len());
            for kind in KINDS {
                let of_kind: Vec<&Claimed> = jobs.iter().filter(|job| Kind::parse(&job.kind) == Some(kind)).collect();
                match kind {
                    _ if of_kind.is_empty() => {}
                    Kind::VpnApply => rendered.extend(vpn::render(tx, &self.sealer, &of_kind).await?),
                    Kind::VpnStatus => rendered.extend(vpn::render_status(&of_kind)),
                    Kind::BillRun | Kind::BillPart | Kind::BillEnd => rendered.extend(billing::jobs::render(&of_kind)),
                }
            }
            let unknown = |job: &Claimed| {
                let kind = &job.kind;
                Rendered::Impossible(format!(
                    "this server does not know jobs of kind {kind}; update it, then run the job again"
                ))
            };
            Ok(jobs.iter().map(|job| rendered.remove(&job.job_id).unwrap_or_else(|| unknown(job))).collect())
        })
    }

    fn settle<'a>(&'a self, tx: &'a mut PgConnection, job: &'a Succeeded) -> BoxFuture<'a, sqlx::Result<Settled>> {
        Box::pin(async move {
            match Kind::parse(&job.kind) {
                Some(Kind::VpnApply) => vpn::settle(tx, &job.queue, &job.payload, &job.result).await,
                Some(Kind::VpnStatus) => vpn::settle_status(tx, &job.payload, &job.result).await,
                Some(Kind::BillRun | Kind::BillPart | Kind::BillEnd) => Ok(Settled::Done), // it was done in the database
                None => Ok(Settled::Unreadable(format!("this server does not know jobs of kind {}", job.kind))),
            }
        })
    }
}
