//! VPN pools and networks: staff set up pools, customers request networks, and hosts apply them.
//!
//! Every change raises the pool's *generation* and enqueues a job in its transaction. The job carries the whole
//! interface as data; the host's confirmation makes networks `active` and allows the server to reuse freed prefixes.

pub mod prefix;

mod api;
mod apply;
mod change;
mod db;
mod hostname;
mod network;
mod networks;
mod order;
mod pool;
mod pools;
mod reconcile;
mod service;
mod status;
mod traffic;

pub use api::{AdminNetworkApi, HostnameText, NetworkApi, PoolApi};
pub use apply::{prepare, settle};
pub use hostname::{Hostname, HostnameError};
pub use network::{Network, NetworkRequest};
pub use pool::Pool;
pub use reconcile::{check_reconcile, prepare_reconcile, reconcile};
pub use service::VpnService;
pub use status::NetworkStatus;
pub use traffic::{prepare_status, settle_status};
