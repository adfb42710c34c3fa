//! The operations on queues; staff only.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::{Object, OpenApi, param::Path, types::ToJSON as _};
use serde_json::Value;
use uncloud_wire::QueueName;

use super::admin_job::JobCount;
use crate::{
    database::Database,
    error::{Error, FieldError},
    http::{Body, Flag, Json, Number, QueueText, Representation, Staff, Tags, input},
    queue::{
        inspect::{self, QueueLine},
        notifier::Notifier,
        operate::{self, QueueSettings},
    },
};

/// A queue: the work of one host, or of the provider.
#[derive(Debug, Object)]
#[oai(rename = "Queue", skip_serializing_if_is_none)]
struct QueueBody {
    /// The queue's name: a host's name, or a word for the provider's own work.
    name: String,
    /// The time since which no job is dispatched; absent if the queue is not paused.
    paused_at: Option<DateTime<Utc>>,
    /// The number of jobs that may start in a period, on all workers together; absent if there is no limit.
    rate_limit: Option<i32>,
    /// The period of the rate limit, in seconds.
    rate_period_seconds: Option<i32>,
    /// The number of waiting jobs, for any reason.
    queued: i64,
    /// The number of jobs that could start now.
    available: i64,
    /// The time that the first of those has waited, in seconds.
    oldest_available_seconds: Option<f64>,
    /// The number of dispatched and running jobs.
    in_flight: i64,
    /// The number of live workers.
    workers: i64,
    /// The number of jobs that they can run at the same time.
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

impl Representation for QueueLine {
    fn representation(self) -> Option<Value> {
        QueueBody::from(self).to_json()
    }
}

/// The list of all queues.
#[derive(Debug, Object)]
struct QueueList {
    /// The queues that have jobs, workers or settings, by name.
    items: Vec<QueueBody>,
}

input! {
    /// An update of a queue; omitted members do not change.
    pub struct QueueUpdate {
        /// True pauses dispatching, false resumes it. Jobs in flight are finished: a paused queue without jobs in
        /// flight is drained.
        pub paused: Option<Flag>,
        /// The number of jobs that may start in a period, on all workers together; 0 removes the limit.
        pub rate_limit: Option<Number<0, 1_000_000>>,
        /// The period in seconds; 1 if omitted. Only allowed together with `rate_limit`.
        pub rate_period_seconds: Option<Number<1, 86_400>>,
    }
}

impl QueueUpdate {
    fn settings(self) -> Result<QueueSettings, Error> {
        if self.rate_limit.is_none() && self.rate_period_seconds.is_some() {
            let error = FieldError::new("rate_period_seconds", "must be omitted without rate_limit");
            return Err(Error::Invalid(vec![error]));
        }
        let period = self.rate_period_seconds.map_or(1, Number::get);
        let rate = self.rate_limit.map(Number::get).map(|jobs: i32| (jobs > 0).then_some((jobs, period)));
        Ok(QueueSettings { paused: self.paused.map(|paused| paused.0), rate })
    }
}

/// The operations on queues.
pub struct QueueApi {
    /// The database.
    pub pool: Database,
    /// Wakes the relay.
    pub wake: Arc<Notifier>,
}

#[OpenApi(prefix_path = "/v1/admin/queue", tag = "Tags::Jobs")]
impl QueueApi {
    /// List queues
    ///
    /// Lists the queues that have jobs, workers or settings, by name.
    #[oai(path = "/", method = "get", operation_id = "admin_queue_list")]
    async fn list(&self, _staff: Staff) -> Result<Json<QueueList>, Error> {
        let queues = inspect::queues(&self.pool, None).await?;
        Ok(Json(QueueList { items: queues.into_iter().map(Into::into).collect() }))
    }

    /// Read a queue
    ///
    /// Returns the numbers of waiting and running jobs, the workers, and the limits of the queue.
    #[oai(path = "/:name", method = "get", operation_id = "admin_queue_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// The name of the queue.
        name: Path<QueueText>,
    ) -> Result<Json<QueueBody>, Error> {
        self.find(&name.0.0).await
    }

    /// Pause, resume or rate-limit a queue
    ///
    /// Jobs in flight continue; a pause and a limit apply to waiting jobs. Omitted members do not change.
    #[oai(path = "/:name", method = "patch", operation_id = "admin_queue_update")]
    async fn update(
        &self,
        _staff: Staff,
        /// The name of the queue.
        name: Path<QueueText>,
        body: Body<QueueUpdate>,
    ) -> Result<Json<QueueBody>, Error> {
        operate::set_queue(&self.pool, &name.0.0, body.0.settings()?).await?;
        self.wake.queued();
        self.find(&name.0.0).await
    }

    /// Revoke all waiting jobs of a queue
    ///
    /// Dispatched and running jobs are not affected.
    #[oai(path = "/:name/purge", method = "post", operation_id = "admin_queue_purge")]
    async fn purge(
        &self,
        _staff: Staff,
        /// The name of the queue.
        name: Path<QueueText>,
    ) -> Result<Json<JobCount>, Error> {
        Ok(Json(JobCount { jobs: operate::purge(&self.pool, &self.wake, &name.0.0).await? }))
    }
}

impl QueueApi {
    async fn find(&self, name: &QueueName) -> Result<Json<QueueBody>, Error> {
        let queue = inspect::queues(&self.pool, Some(name.as_str())).await?.pop();
        let queue = queue.ok_or_else(|| {
            Error::NotFound(format!("queue {name} not found: it has no jobs, no worker and no settings").into())
        })?;
        Ok(Json(queue.into()))
    }
}
