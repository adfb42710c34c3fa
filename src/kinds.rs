//! Which noun renders and settles which kind of job. The matches are exhaustive: a forgotten kind does not compile.

use std::{collections::HashMap, sync::Arc, time::Duration};

use clap::ValueEnum;
use futures_util::future::BoxFuture;
use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    billing, orders,
    queue::{self, Claimed, JobId, JobKinds, NewJob, Policy, QueueName, Rendered, Settled, Succeeded},
    seal::Sealer,
    vpn,
};

/// Declares kinds with their names, so that none can be left out of [`KINDS`].
macro_rules! kinds {
    ($($(#[$about:meta])+ $kind:ident $name:literal)+) => {
        /// What a job does. Rows and Redis carry the name, so a kind is never renamed; payloads only ever gain fields.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$about])+ $kind,)+
        }

        /// All kinds.
        pub const KINDS: &[Kind] = &[$(Kind::$kind),+];

        impl Kind {
            /// Its name in rows and Redis.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

kinds! {
    /// Bring a VPN pool's interface on its host to the desired state.
    VpnApply "vpn_apply"
    /// Ask a VPN pool's host for the last handshakes and the traffic of its peers.
    VpnStatus "vpn_status"
    /// Ask for the full state of all VPN pools, or of a host's, once more. Done by a server.
    VpnReconcile "vpn_reconcile"
    /// Forget jobs that ended long ago, and workers that are gone. Done by a server.
    JobCleanup "job_cleanup"
    /// Begin a bill run and ask for its shares.
    BillRun "bill_run"
    /// Bill a share of a run.
    BillPart "bill_part"
    /// Give a run's bills their numbers.
    BillEnd "bill_end"
    /// End what an order delivers, now that its time has come.
    OrderService "order_service"
}

impl Kind {
    /// The kind of that name; none when a newer program made it up.
    pub fn parse(text: &str) -> Option<Self> {
        KINDS.iter().copied().find(|kind| kind.as_str() == text)
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
            // All of it is one transaction that has locks.
            Self::VpnReconcile => Policy { hard_limit: Some(Duration::from_mins(1)), ..Policy::DEFAULT },
            Self::JobCleanup => Policy {
                hard_limit: Some(Duration::from_mins(1)),
                priority: 0,
                keep: Duration::from_hours(24),
                ..Policy::DEFAULT
            },
            Self::BillRun | Self::BillPart | Self::BillEnd => Policy::DEFAULT,
            // Whoever cancelled pays no more, so it is tried until it works.
            Self::OrderService => {
                Policy { max_failures: 1000, backoff_max: Duration::from_hours(1), ..Policy::DEFAULT }
            }
        }
    }

    /// A job of this kind.
    pub const fn job(self, queue: &QueueName, payload: Value) -> NewJob<'_> {
        NewJob::new(queue, self.as_str(), payload, self.policy())
    }
}

/// What a schedule may ask for. To add something, add a variant here; the compiler names the rest, all of it in this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, poem_openapi::Enum, ValueEnum)]
#[oai(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Scheduled {
    /// Bring all VPN hosts, or one, to the desired state once more: mends what was changed by hand. One job for each pool.
    VpnReconcile,
    /// Forget jobs that ended long ago, and workers that are gone.
    JobCleanup,
    /// Bill everybody what is due.
    BillRun,
}

impl Scheduled {
    /// The kind of its jobs.
    pub const fn kind(self) -> Kind {
        match self {
            Self::VpnReconcile => Kind::VpnReconcile,
            Self::JobCleanup => Kind::JobCleanup,
            Self::BillRun => Kind::BillRun,
        }
    }

    /// Whose work its jobs are.
    pub fn queue(self) -> QueueName {
        match self {
            Self::VpnReconcile | Self::JobCleanup => QueueName::server(),
            Self::BillRun => QueueName::billing(),
        }
    }

    /// Why its jobs can't have this payload.
    pub fn check(self, payload: &Value) -> Result<(), String> {
        match self {
            Self::VpnReconcile => vpn::check_reconcile(payload),
            Self::JobCleanup | Self::BillRun if payload.as_object().is_some_and(serde_json::Map::is_empty) => Ok(()),
            Self::JobCleanup => Err("must be empty: all jobs are looked at".to_owned()),
            Self::BillRun => Err("must be empty: each tick bills what is due by then".to_owned()),
        }
    }

    /// The one whose jobs are of that kind; none when a newer program made it up.
    pub fn parse(kind: &str) -> Option<Self> {
        Self::value_variants().iter().copied().find(|scheduled| scheduled.kind().as_str() == kind)
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
            for &kind in KINDS {
                let of_kind: Vec<&Claimed> = jobs.iter().filter(|job| Kind::parse(&job.kind) == Some(kind)).collect();
                match kind {
                    _ if of_kind.is_empty() => {}
                    Kind::VpnApply => rendered.extend(vpn::render(tx, &self.sealer, &of_kind).await?),
                    Kind::VpnStatus => rendered.extend(vpn::render_status(&of_kind)),
                    Kind::VpnReconcile => rendered.extend(vpn::render_reconcile(tx, &of_kind).await?),
                    Kind::JobCleanup => rendered.extend(queue::render_cleanup(tx, &of_kind).await?),
                    Kind::BillRun | Kind::BillPart | Kind::BillEnd => rendered.extend(billing::jobs::render(&of_kind)),
                    Kind::OrderService => rendered.extend(orders::render(&of_kind)),
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
                Some(Kind::VpnReconcile | Kind::JobCleanup) => {
                    Ok(Settled::Unreadable("a worker reported on what servers do themselves".into()))
                }
                // They were done in the database.
                Some(Kind::BillRun | Kind::BillPart | Kind::BillEnd | Kind::OrderService) => Ok(Settled::Done),
                None => Ok(Settled::Unreadable(format!("this server does not know jobs of kind {}", job.kind))),
            }
        })
    }
}
