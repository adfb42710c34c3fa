//! What the server tells a queue's workers.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncCommands as _, RedisError,
    aio::MultiplexedConnection,
    streams::{StreamReadOptions, StreamReadReply},
};
use serde::{Deserialize, Serialize};

use super::{StreamConfig, connection::blocking, report::State};
use crate::job::JobId;

/// One entry of the control stream. Commands that do not concern a worker are left alone by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Command {
    /// Report at once.
    Ping,
    /// Run so many jobs at the same time.
    Concurrency {
        /// Which worker.
        instance: String,
        /// How many.
        concurrency: u16,
    },
    /// End this dispatch of a job, or do not begin it.
    Revoke {
        /// The job.
        job: JobId,
        /// The dispatch.
        fence: i64,
    },
}

const BLOCK: Duration = Duration::from_secs(30);

/// Reads commands for ever.
pub(super) async fn obey(config: Arc<StreamConfig>, state: Arc<State>) {
    loop {
        // What was said before may still matter to what is read from now on, so each connection begins at the start.
        if let Err(error) = listen(&config, &state).await {
            tracing::debug!(queue = %config.queue, %error, "the server's commands can't be read; trying again");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn listen(config: &StreamConfig, state: &State) -> Result<(), RedisError> {
    let mut connection = blocking(&config.redis, BLOCK).await?;
    let mut last = "0".to_owned();
    let mut news = false; // the first answer is history
    loop {
        let entries = read(config, &mut connection, &last, news).await?;
        for (id, command) in entries {
            match command {
                Some(Command::Revoke { job, fence }) => state.revoke(job, fence),
                Some(Command::Concurrency { instance, concurrency }) if instance == state.instance => {
                    state.slots.resize(concurrency.into());
                    state.report_now();
                }
                Some(Command::Ping) if news => state.report_now(),
                Some(Command::Ping | Command::Concurrency { .. }) => {}
                None => {
                    tracing::warn!(queue = %config.queue, entry = id, "the server wants something that this version does not know");
                }
            }
            last = id;
        }
        news = true;
    }
}

async fn read(
    config: &StreamConfig,
    connection: &mut MultiplexedConnection,
    after: &str,
    block: bool,
) -> Result<Vec<(String, Option<Command>)>, RedisError> {
    let options = StreamReadOptions::default();
    let millis = usize::try_from(BLOCK.as_millis()).unwrap_or(usize::MAX);
    let options = if block { options.block(millis) } else { options };
    let reply: Option<StreamReadReply> =
        connection.xread_options(&[config.queue.control_key()], &[after], &options).await?;
    let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
    let parse = |text: String| serde_json::from_str(&text).ok();
    Ok(entries.map(|entry| (entry.id.clone(), entry.get::<String>("command").and_then(parse))).collect())
}
