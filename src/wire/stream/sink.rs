//! The relay's side: pushes envelopes, pipelined.

use std::{
    mem,
    task::{Context, Poll, ready},
};

use futures_util::future::BoxFuture;
use redis::{AsyncCommands as _, Client, Pipeline, RedisError, aio::ConnectionManager};

use super::{
    connection::{BackendError, reconnecting},
    envelope::Envelope,
};
use crate::job::millis;

/// The buffered envelopes, and the push in progress.
pub(super) struct Sink {
    client: Client,
    connection: Option<ConnectionManager>,
    buffer: Vec<Envelope>,
    flushing: Option<BoxFuture<'static, Result<(), RedisError>>>,
}

impl Sink {
    pub(super) const fn new(client: Client) -> Self {
        Self { client, connection: None, buffer: Vec::new(), flushing: None }
    }

    /// Returns true if Redis responds on the connection that pushes use.
    pub(super) async fn responds(&mut self) -> bool {
        match self.connection() {
            Ok(mut connection) => connection.ping::<String>().await.is_ok(),
            Err(_) => false,
        }
    }

    /// Buffers an envelope until the next flush.
    pub(super) fn push(&mut self, envelope: Envelope) {
        self.buffer.push(envelope);
    }

    fn connection(&mut self) -> Result<ConnectionManager, RedisError> {
        match &self.connection {
            Some(connection) => Ok(connection.clone()),
            None => Ok(self.connection.insert(reconnecting(&self.client)?).clone()),
        }
    }

    fn flush(&mut self) -> Result<BoxFuture<'static, Result<(), RedisError>>, RedisError> {
        let mut connection = self.connection()?;
        let pipe = add_all(mem::take(&mut self.buffer));
        Ok(Box::pin(async move { pipe.query_async(&mut connection).await }))
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BackendError>> {
        loop {
            if let Some(flushing) = self.flushing.as_mut() {
                let result = ready!(flushing.as_mut().poll(context));
                self.flushing = None;
                result?;
            }
            if self.buffer.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.flushing = Some(self.flush()?);
        }
    }
}

/// Adds all envelopes to their streams. Never with MAXLEN: trimming would lose jobs.
fn add_all(envelopes: Vec<Envelope>) -> Pipeline {
    let mut pipe = redis::pipe();
    for envelope in envelopes {
        pipe.cmd("XADD")
            .arg(envelope.queue.jobs_key())
            .arg("*")
            .arg("job")
            .arg(envelope.job_id)
            .arg("fence")
            .arg(envelope.fence)
            .arg("kind")
            .arg(envelope.kind)
            .arg("payload")
            .arg(envelope.payload);
        for (name, limit) in [("soft", envelope.soft_limit), ("hard", envelope.hard_limit)] {
            if let Some(limit) = limit {
                pipe.arg(name).arg(millis(limit));
            }
        }
        if let Some(request_id) = envelope.request_id {
            pipe.arg("request").arg(request_id);
        }
        pipe.ignore();
    }
    pipe
}
