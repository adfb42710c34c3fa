//! `GET /metrics`: for staff with the API, and for anonymous readers on a separate address.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use poem::{
    EndpointExt as _, IntoResponse as _, Route, Server,
    endpoint::make,
    listener::{Acceptor as _, Listener as _, TcpAcceptor, TcpListener},
};
use poem_openapi::{ApiResponse, OpenApi, payload::PlainText};
use redis::AsyncCommands as _;
use sqlx::PgPool;
use tokio::sync::watch;
use uncloud_wire::stream::reconnecting;

use crate::{
    http::{Staff, Tags},
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
    /// The database, which is the source of truth.
    pub pool: PgPool,
    /// Redis, which delivers the jobs.
    pub redis: redis::Client,
    /// Counters of this process.
    pub metrics: Arc<Metrics>,
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
    async fn exposition(&self) -> String {
        let mut text = Text::default();
        self.metrics.write(&mut text);
        let redis = async { reconnecting(&self.redis)?.ping::<String>().await };
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

/// Serves `/metrics`, and nothing else, without authentication; ends when `stop` becomes true.
pub async fn listen(
    address: SocketAddr,
    api: MetricsApi,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<impl Future<Output = ()>> {
    let acceptor: TcpAcceptor = TcpListener::bind(address)
        .into_acceptor()
        .await
        .with_context(|| format!("can't listen on {address} for metrics; is another server using it?"))?;
    let bound = acceptor.local_addr().first().and_then(|local| local.as_socket_addr().copied()).unwrap_or(address);
    tracing::info!(address = %bound, "serving metrics");
    let read = make(move |_| {
        let api = api.clone();
        async move { api.exposition().await.with_content_type(CONTENT_TYPE).into_response() }
    });
    let route = Route::new().at("/metrics", poem::get(read)).map_to_response();
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    Ok(async move {
        if let Err(error) = Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(route, stopped, None).await {
            tracing::error!(%error, "the metrics server has stopped; metrics are no longer served");
        }
    })
}
