//! `GET /metrics`: for staff with the API, and for anonymous readers on a separate address.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context as _;
use poem::{EndpointExt as _, IntoResponse as _, Route, endpoint::make};
use poem_openapi::{ApiResponse, OpenApi, payload::PlainText};
use redis::{AsyncCommands as _, aio::ConnectionManager};
use sqlx::PgPool;
use tokio::sync::watch;
use uncloud_wire::stream::reconnecting;

use super::listen::{self, Limits, Listener};
use crate::{
    http::{Staff, Tags, TrustedProxies},
    metrics::{Metrics, Text},
    queue::{
        Depth, depths,
        inspect::{self, WorkerLine},
    },
};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Longest wait for the response of one dependency.
const PATIENCE: Duration = Duration::from_secs(2);

/// Operation that returns the metrics. They reveal the hosts and the amount of activity, so on the API's address they
/// are for staff. (This includes callers from this machine: behind a proxy every caller is one.) `--metrics-listen`
/// opens a separate address for a scraper that must not have a password of staff.
#[derive(Clone)]
pub struct MetricsApi {
    pool: PgPool,
    redis: redis::Client,
    metrics: Arc<Metrics>,
    /// The connection on which Redis is asked; opened by the first scrape.
    connection: Arc<OnceLock<ConnectionManager>>,
}

#[derive(ApiResponse)]
enum Exposition {
    /// Prometheus' text format.
    #[oai(status = 200, content_type = "text/plain; version=0.0.4; charset=utf-8")]
    Text(PlainText<String>),
}

#[OpenApi(tag = "Tags::Service")]
impl MetricsApi {
    /// Read metrics in Prometheus' format
    ///
    /// Each server counts requests and jobs for itself. While PostgreSQL is unavailable, the response leaves out the
    /// metrics that come from it.
    #[oai(path = "/metrics", method = "get", operation_id = "metrics_read")]
    async fn read(&self, _staff: Staff) -> Exposition {
        Exposition::Text(PlainText(self.exposition().await))
    }
}

impl MetricsApi {
    /// Creates the operation for a process with these counters.
    pub fn new(pool: PgPool, redis: redis::Client, metrics: Arc<Metrics>) -> Self {
        Self { pool, redis, metrics, connection: Arc::default() }
    }

    async fn redis_answers(&self) -> redis::RedisResult<String> {
        let mut connection = if let Some(connection) = self.connection.get() {
            connection.clone()
        } else {
            let opened = reconnecting(&self.redis)?;
            self.connection.get_or_init(|| opened).clone()
        };
        // The first command after a restart of Redis is lost with the old connection.
        match connection.ping().await {
            Err(_) => connection.ping().await,
            answer => answer,
        }
    }

    async fn exposition(&self) -> String {
        let mut text = Text::default();
        self.metrics.write(&mut text);
        let redis = self.redis_answers();
        let known = async { tokio::try_join!(depths(&self.pool), inspect::workers(&self.pool, None)) };
        let (redis, known) = tokio::join!(tokio::time::timeout(PATIENCE, redis), tokio::time::timeout(PATIENCE, known));
        text.family("uncloud_part_up", "gauge", "Whether the server's dependency is available.");
        for (part, up) in [("postgres", matches!(known, Ok(Ok(_)))), ("redis", matches!(redis, Ok(Ok(_))))] {
            text.sample("uncloud_part_up", &[("part", part)], u8::from(up));
        }
        if let Ok(Ok((depths, workers))) = known {
            write_depths(&mut text, &depths);
            write_workers(&mut text, &workers);
        }
        text.into_string()
    }
}

fn write_depths(text: &mut Text, depths: &[Depth]) {
    text.family("uncloud_queue_jobs", "gauge", "Unfinished jobs by queue and state.");
    for depth in depths {
        let labels = [("queue", depth.queue.as_str()), ("state", depth.state.as_str())];
        text.sample("uncloud_queue_jobs", &labels, depth.jobs);
    }
    text.family("uncloud_queue_oldest_available_seconds", "gauge", "How long the oldest available job has waited.");
    for depth in depths {
        if let Some(secs) = depth.oldest_available_seconds {
            text.sample("uncloud_queue_oldest_available_seconds", &[("queue", &depth.queue)], secs);
        }
    }
}

fn write_workers(text: &mut Text, workers: &[WorkerLine]) {
    text.family("uncloud_workers_alive", "gauge", "Live workers of queues that had one within the last hour.");
    for queue in workers.chunk_by(|a, b| a.queue == b.queue) {
        let alive = queue.iter().filter(|worker| worker.alive).count();
        text.sample("uncloud_workers_alive", &[("queue", &queue[0].queue)], alive);
    }
    text.family("uncloud_worker_leases_lost_total", "counter", "Jobs that other workers took over from this worker.");
    for worker in workers {
        let id = worker.worker_id.to_string();
        let labels = [("queue", worker.queue.as_str()), ("worker", &worker.name), ("id", &id)];
        text.sample("uncloud_worker_leases_lost_total", &labels, worker.leases_lost);
    }
}

/// Serves `/metrics`, and nothing else, without authentication but with the limits on connections; ends when `stop` becomes
/// true.
pub async fn listen(
    address: SocketAddr,
    api: MetricsApi,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<impl Future<Output = ()>> {
    let listener = Listener::bind(address).await.context("metrics")?;
    tracing::info!(address = %listener.address()?, "serving metrics");
    let read = make(move |_| {
        let api = api.clone();
        async move { api.exposition().await.with_content_type(CONTENT_TYPE).into_response() }
    });
    let route = Route::new().at("/metrics", poem::get(read)).map_to_response();
    Ok(async move { listen::run(listener, route, None, Limits::default(), &TrustedProxies::default(), stop).await })
}
