//! VPN pools and networks: what staff set up, what customers request, and what their hosts shall look like.
//!
//! Every change raises the pool's *generation* and asks for a job in its transaction. The job carries the whole
//! interface as data; what the host confirms makes networks `active` and lets freed prefixes be handed out again.

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
pub use apply::{render, settle};
pub use hostname::{Hostname, HostnameError};
pub use network::{Network, Wish};
pub use pool::Pool;
pub use reconcile::{check_reconcile, reconcile, render_reconcile};
pub use service::VpnService;
pub use status::NetworkStatus;
pub use traffic::{render_status, settle_status};
