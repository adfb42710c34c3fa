//! Which noun renders and settles which kind of job. The matches are exhaustive: a forgotten kind does not compile.

use std::{collections::HashMap, sync::Arc, time::Duration};

use sqlx::PgConnection;

use crate::{
    queue::{Claimed, JobId, Policy, Succeeded},
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
}

const KINDS: [Kind; 2] = [Kind::VpnApply, Kind::VpnStatus];

impl Kind {
    /// Its name in rows and Redis.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VpnApply => "vpn_apply",
            Self::VpnStatus => "vpn_status",
        }
    }

    /// The kind of that name; none when a newer program made it up.
    pub fn parse(text: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.as_str() == text)
    }

    /// How often and how patiently it is tried.
    pub const fn policy(self) -> Policy {
        match self {
            Self::VpnApply => {
                Policy { max_failures: 8, backoff_base: Duration::from_secs(1), backoff_max: Duration::from_mins(1) }
            }
            // Somebody waits for the answer; whoever still wants it asks again.
            Self::VpnStatus => {
                Policy { max_failures: 1, backoff_base: Duration::from_secs(1), backoff_max: Duration::from_secs(1) }
            }
        }
    }
}

/// A job made ready for its worker, or why not.
#[derive(Debug)]
pub enum Rendered {
    /// JSON for the worker.
    Payload(Vec<u8>),
    /// There is nothing left to do.
    Obsolete(String),
    /// It can't be done like this; staff must look.
    Impossible(String),
}

/// What became of a job's result.
#[derive(Debug, PartialEq, Eq)]
pub enum Settled {
    /// The noun knows.
    Done,
    /// The worker reported something else than its kind does.
    Unreadable(String),
}

/// What rendering and settling need.
pub struct Kinds {
    /// Opens what is encrypted at rest.
    pub sealer: Arc<Sealer>,
}

impl Kinds {
    /// Payloads for jobs, in their order; one pass per kind, so a batch costs as many queries as one job.
    pub async fn render(&self, tx: &mut PgConnection, jobs: &[Claimed]) -> anyhow::Result<Vec<Rendered>> {
        let of_kind = |kind| jobs.iter().filter(move |job| Kind::parse(&job.kind) == Some(kind));
        let mut rendered: HashMap<JobId, Rendered> = HashMap::with_capacity(jobs.len());
        for kind in KINDS {
            let of_this_kind: Vec<&Claimed> = of_kind(kind).collect();
            if of_this_kind.is_empty() {
                continue;
            }
            match kind {
                Kind::VpnApply => rendered.extend(vpn::render(tx, &self.sealer, &of_this_kind).await?),
                Kind::VpnStatus => rendered.extend(vpn::render_status(&of_this_kind)),
            }
        }
        let unknown = |job: &Claimed| {
            Rendered::Impossible(format!(
                "this server does not know jobs of kind {}; update it, then run the job again",
                job.kind
            ))
        };
        Ok(jobs.iter().map(|job| rendered.remove(&job.job_id).unwrap_or_else(|| unknown(job))).collect())
    }

    /// Tells the noun what its worker did, in the transaction that makes the job succeeded.
    pub async fn settle(&self, tx: &mut PgConnection, job: &Succeeded) -> sqlx::Result<Settled> {
        match Kind::parse(&job.kind) {
            Some(Kind::VpnApply) => vpn::settle(tx, &job.queue, &job.payload, &job.result).await,
            Some(Kind::VpnStatus) => vpn::settle_status(tx, &job.payload, &job.result).await,
            None => Ok(Settled::Unreadable(format!("this server does not know jobs of kind {}", job.kind))),
        }
    }
}
