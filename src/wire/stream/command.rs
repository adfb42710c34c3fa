//! The server's commands to a queue's workers.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncCommands as _, RedisError,
    aio::MultiplexedConnection,
    streams::{StreamReadOptions, StreamReadReply},
};
use serde::{Deserialize, Serialize};

use super::{config::StreamConfig, connection::blocking, report::State};
use crate::job::JobId;

/// An entry of the control stream. A worker ignores commands that do not concern it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Command {
    /// Requests an immediate report.
    Ping,
    /// Sets the number of jobs that run at the same time.
    Concurrency {
        /// The instance of the worker.
        instance: String,
        /// The number of jobs.
        concurrency: u16,
    },
    /// Ends this dispatch of a job, or prevents its start.
    Revoke {
        /// The job's id.
        job: JobId,
        /// The fence, which identifies the dispatch.
        fence: i64,
    },
}

const BLOCK: Duration = Duration::from_secs(30);

/// Reads and executes commands, forever.
pub(super) async fn obey(config: Arc<StreamConfig>, state: Arc<State>) {
    loop {
        // Earlier commands may still matter to jobs that are read from now on, so each connection reads from the start.
        if let Err(error) = listen(&config, &state).await {
            tracing::debug!(queue = %config.queue, %error, "could not read the server's commands; retrying");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn listen(config: &StreamConfig, state: &State) -> Result<(), RedisError> {
    let mut connection = blocking(&config.redis, BLOCK).await?;
    let mut last = "0".to_owned();
    let mut news = false; // the first reply is history
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
                    tracing::warn!(queue = %config.queue, entry = id, "the server sent a command that this version does not know; update uncloud-worker");
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
