//! The kinds of jobs that a schedule can enqueue.

use clap::ValueEnum;
use serde_json::Value;
use uncloud_wire::{Kind, QueueName};

use crate::vpn;

/// A kind of job that a schedule can enqueue. To add one, add a variant here; the compiler lists the rest, all of it in
/// this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, poem_openapi::Enum, ValueEnum)]
#[oai(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Scheduled {
    /// Reconcile all VPN hosts, or one, with the desired state: repairs manual changes. One job for each pool.
    VpnReconcile,
    /// Delete jobs that ended long ago, and workers that are gone.
    JobCleanup,
    /// Bill all customers for what is due.
    BillRun,
}

impl Scheduled {
    /// Returns the kind of its jobs.
    pub const fn kind(self) -> Kind {
        match self {
            Self::VpnReconcile => Kind::VpnReconcile,
            Self::JobCleanup => Kind::JobCleanup,
            Self::BillRun => Kind::BillRun,
        }
    }

    /// Returns the queue of its jobs.
    pub fn queue(self) -> QueueName {
        match self {
            Self::VpnReconcile | Self::JobCleanup => QueueName::server(),
            Self::BillRun => QueueName::billing(),
        }
    }

    /// Checks the payload of its jobs; the error is the reason for which they can't have it.
    pub fn check(self, payload: &Value) -> Result<(), String> {
        match self {
            Self::VpnReconcile => vpn::check_reconcile(payload),
            Self::JobCleanup | Self::BillRun if payload.as_object().is_some_and(serde_json::Map::is_empty) => Ok(()),
            Self::JobCleanup => Err("must be empty: the cleanup is for all jobs".to_owned()),
            Self::BillRun => Err("must be empty: each tick bills what is due by then".to_owned()),
        }
    }

    /// Returns the variant whose jobs are of that kind; none if a newer program introduced the kind.
    pub fn parse(kind: &str) -> Option<Self> {
        Self::value_variants().iter().copied().find(|scheduled| scheduled.kind().as_str() == kind)
    }
}
