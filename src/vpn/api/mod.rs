//! VPN pools and networks over HTTP.

mod network;
mod pool;
mod scalars;

pub use network::NetworkApi;
pub use pool::PoolApi;
pub use scalars::HostnameText;
