//! VPN pools and networks over HTTP.

mod admin;
mod network;
mod pool;
mod scalars;

pub use admin::AdminNetworkApi;
pub use network::NetworkApi;
pub use pool::PoolApi;
pub use scalars::HostnameText;
