//! Connections to Redis.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
};

/// Longest wait for a connection, and for an answer to a command that does not block.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection for commands that block up to `block`. The default response timeout of half a second would cut
/// them; after an error it must not be used again, because the late answer would be taken for another's.
pub async fn blocking(client: &Client, block: Duration) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(block + CONNECT_TIMEOUT));
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// A connection for short commands that comes back by itself after a loss. Opened at its first use.
pub fn reconnecting(client: &Client) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(CONNECT_TIMEOUT))
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_millis(500));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}
