//! Connections to Redis.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
};

/// The longest wait for a connection, and for the reply to a command that does not block.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens a connection for commands that block up to `block`. The default response timeout of half a second would
/// interrupt them; after an error the connection must not be used again, because the late reply would be taken for
/// another command's.
pub async fn blocking(client: &Client, block: Duration) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(block + CONNECT_TIMEOUT));
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// Creates a connection for short commands that reconnects by itself after a loss. It is opened at its first use.
pub fn reconnecting(client: &Client) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(CONNECT_TIMEOUT))
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_millis(500));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

/// An error of Redis.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BackendError(#[from] redis::RedisError);
