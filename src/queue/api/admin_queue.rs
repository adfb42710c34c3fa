//! Queues over HTTP; staff only.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::ToJSON as _};
use serde_json::Value;
use sqlx::PgPool;
use uncloud_wire::QueueName;

use super::admin_job::JobCount;
use crate::{
    error::{Error, FieldError},
    http::{Body, Flag, Number, QueueText, Shown, Staff, Tags, input},
    queue::{
        inspect::{self, QueueLine},
        operate::{self, QueueWish},
        wake::Wake,
    },
};

/// The work of one host, or of the provider.
#[derive(Debug, Object)]
#[oai(rename = "Queue", skip_serializing_if_is_none)]
struct QueueBody {
    /// A host's name, or a word for the provider's own work.
    name: String,
    /// Since when nothing more is dispatched; absent when it is not paused.
    paused_at: Option<DateTime<Utc>>,
    /// So many jobs start in a period, on all workers together; absent when there is no limit.
    rate_limit: Option<i32>,
    /// The period, in seconds.
    rate_period_seconds: Option<i32>,
    /// Jobs that wait, for whatever.
    queued: i64,
    /// Jobs that could start now.
    available: i64,
    /// How long the first of those has waited, in seconds.
    oldest_available_seconds: Option<f64>,
    /// Jobs on their way or running.
    in_flight: i64,
    /// Live workers.
    workers: i64,
    /// Jobs that they can run at the same time.
    slots: i64,
}

impl From<QueueLine> for QueueBody {
    fn from(line: QueueLine) -> Self {
        Self {
            name: line.queue,
            paused_at: line.paused_at,
            rate_limit: line.rate_limit,
            rate_period_seconds: line.rate_limit.map(|_| line.rate_period_seconds),
            queued: line.queued,
            available: line.available,
            oldest_available_seconds: line.oldest_available_seconds,
            in_flight: line.in_flight,
            workers: line.workers,
            slots: line.slots,
        }
    }
}

impl Shown for QueueLine {
    fn shown(self) -> Option<Value> {
        QueueBody::from(self).to_json()
    }
}

/// All queues.
#[derive(Debug, Object)]
struct QueueList {
    /// By name: those with jobs, workers or settings.
    items: Vec<QueueBody>,
}

input! {
    /// What to change of a queue; what is left out stays.
    pub struct QueueUpdate {
        /// Stops dispatching, or goes on. What is on its way is finished: paused and without jobs in flight, the queue is drained.
        pub paused: Option<Flag>,
        /// So many jobs start in a period, on all workers together; 0 lifts the limit.
        pub rate_limit: Option<Number<0, 1_000_000>>,
        /// The period in seconds; 1 when left out. Only together with `rate_limit`.
        pub rate_period_seconds: Option<Number<1, 86_400>>,
    }
}

impl QueueUpdate {
    fn wish(self) -> Result<QueueWish, Error> {
        if self.rate_limit.is_none() && self.rate_period_seconds.is_some() {
            let error = FieldError::new("rate_period_seconds", "means nothing without rate_limit");
            return Err(Error::Invalid(vec![error]));
        }
        let period = self.rate_period_seconds.map_or(1, Number::get);
        let rate = self.rate_limit.map(Number::get).map(|jobs: i32| (jobs > 0).then_some((jobs, period)));
        Ok(QueueWish { paused: self.paused.map(|paused| paused.0), rate })
    }
}

/// The operations.
pub struct QueueApi {
    /// Where the jobs are.
    pub pool: PgPool,
    /// Wakes the relay.
    pub wake: Arc<Wake>,
}

#[OpenApi(prefix_path = "/v1/admin/queue", tag = "Tags::Jobs")]
impl QueueApi {
    /// List queues
    ///
    /// By name: those that have jobs, workers or settings.
    #[oai(path = "/", method = "get", operation_id = "admin_queue_list")]
    async fn list(&self, _staff: Staff) -> Result<Json<QueueList>, Error> {
        let queues = inspect::queues(&self.pool, None).await?;
        Ok(Json(QueueList { items: queues.into_iter().map(Into::into).collect() }))
    }

    /// Read a queue
    ///
    /// How many jobs wait, run and have failed, who works for it, and its limits.
    #[oai(path = "/:name", method = "get", operation_id = "admin_queue_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// The queue.
        name: Path<QueueText>,
    ) -> Result<Json<QueueBody>, Error> {
        self.find(&name.0.0).await
    }

    /// Pause a queue, let it go on, or limit its rate
    ///
    /// What is on its way or running goes on; a pause and a limit hold for what waits. What is left out stays.
    #[oai(path = "/:name", method = "patch", operation_id = "admin_queue_update")]
    async fn edit(
        &self,
        _staff: Staff,
        /// The queue.
        name: Path<QueueText>,
        body: Body<QueueUpdate>,
    ) -> Result<Json<QueueBody>, Error> {
        operate::set_queue(&self.pool, &name.0.0, body.0.wish()?).await?;
        self.wake.queued();
        self.find(&name.0.0).await
    }

    /// Revoke all jobs of a queue that wait
    ///
    /// What is on its way or running is not touched.
    #[oai(path = "/:name/purge", method = "post", operation_id = "admin_queue_purge")]
    async fn purge(
        &self,
        _staff: Staff,
        /// The queue.
        name: Path<QueueText>,
    ) -> Result<Json<JobCount>, Error> {
        Ok(Json(JobCount { jobs: operate::purge(&self.pool, &self.wake, &name.0.0).await? }))
    }
}

impl QueueApi {
    async fn find(&self, name: &QueueName) -> Result<Json<QueueBody>, Error> {
        let queue = inspect::queues(&self.pool, Some(name.as_str())).await?.pop();
        let queue = queue
            .ok_or_else(|| Error::NotFound(format!("queue {name} has no jobs, no worker and no settings").into()))?;
        Ok(Json(queue.into()))
    }
}
