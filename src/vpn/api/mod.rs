//! VPN pools and networks over HTTP.

mod network;
mod pool;

pub use network::NetworkApi;
pub use pool::PoolApi;
