//! VPN pools and networks over HTTP.

mod network;
mod pool;

pub use network::NetworkApi;
pub use pool::PoolApi;

const fn page_size() -> u8 {
    50
}
