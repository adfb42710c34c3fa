//! The HTTP operations on VPN pools and networks.

mod admin;
mod network;
mod pool;
mod scalars;

pub use admin::AdminNetworkApi;
pub use network::NetworkApi;
pub use pool::PoolApi;
pub use scalars::HostnameText;
