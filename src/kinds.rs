//! Which noun renders and settles which kind of job. The matches are exhaustive: a forgotten kind does not compile.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    queue::{Claimed, JobId, Policy},
    seal::Sealer,
    vpn,
};

/// What a job does. Rows and Redis carry the name, so a kind is never renamed; payloads only ever gain fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Bring a VPN pool's interface on its host to the desired state.
    VpnApply,
}

impl Kind {
    /// Its name in rows and Redis.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VpnApply => "vpn_apply",
        }
    }

    /// The kind of that name; none when a newer program made it up.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::VpnApply].into_iter().find(|kind| kind.as_str() == text)
    }

    /// How often and how patiently it is tried.
    pub const fn policy(self) -> Policy {
        match self {
            Self::VpnApply => {
                Policy { max_failures: 8, backoff_base: Duration::from_secs(1), backoff_max: Duration::from_mins(1) }
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
        for kind in [Kind::VpnApply] {
            let of_this_kind: Vec<&Claimed> = of_kind(kind).collect();
            if of_this_kind.is_empty() {
                continue;
            }
            match kind {
                Kind::VpnApply => rendered.extend(vpn::render(tx, &self.sealer, &of_this_kind).await?),
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
    pub async fn settle(
        &self,
        tx: &mut PgConnection,
        kind: &str,
        payload: &Value,
        result: &Value,
    ) -> sqlx::Result<Settled> {
        match Kind::parse(kind) {
            Some(Kind::VpnApply) => vpn::settle(tx, payload, result).await,
            None => Ok(Settled::Unreadable(format!("this server does not know jobs of kind {kind}"))),
        }
    }
}
