//! The queries on pools and networks. Locks are taken in the order user, pool, job, network.

mod network;
mod pool;

pub(super) use network::*;
pub(super) use pool::*;
