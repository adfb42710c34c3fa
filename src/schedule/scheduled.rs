//! What a schedule may ask for.

use clap::ValueEnum;
use serde_json::Value;
use uncloud_wire::{Kind, QueueName};

use crate::vpn;

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
