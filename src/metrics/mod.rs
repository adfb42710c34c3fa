//! The metrics that Prometheus reads from a server.
//!
//! Events are counted in the memory of the process that handles them: each event is applied by one server, so the sum
//! over all servers is right, a job costs no further write, and the table of jobs, which grows with history, is never
//! counted. Prometheus expects counters to restart with a process. The current state (depths, workers) is read from the
//! database on each scrape, by the partial indexes on unfinished jobs.

mod histogram;
mod text;

pub(crate) use text::Text;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use self::histogram::Histogram;

/// Upper bounds in seconds, from a job that is done at once to one that reaches its limit.
const JOB_BOUNDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0, 3600.0];
/// Upper bounds in seconds, up to the longest long poll.
const HTTP_BOUNDS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 60.0];

/// The end of an attempt at a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobAttempt {
    /// The kind of the job.
    pub kind: String,
    /// The job's queue.
    pub queue: String,
    /// The outcome: `succeeded`, `retry`, `snoozed`, `failed`, `revoked`, `superseded` or `lost`.
    pub outcome: &'static str,
    /// The time from when the job was due until it started; none if it never did.
    pub waited: Option<Duration>,
    /// The time from its start to its end.
    pub ran: Option<Duration>,
}

/// The counters of this process.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By operation and status.
    requests: BTreeMap<(&'static str, u16), Histogram>,
    /// By kind, queue and outcome.
    attempts: BTreeMap<(String, String, &'static str), u64>,
    /// By kind and queue.
    waits: BTreeMap<(String, String), Histogram>,
    runs: BTreeMap<(String, String), Histogram>,
}

impl Metrics {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a completed request. Operations are those of the OpenAPI document: a client can't create new labels.
    pub fn note_request(&self, operation: &'static str, status: u16, took: Duration) {
        self.counts().requests.entry((operation, status)).or_insert_with(|| Histogram::new(&HTTP_BOUNDS)).note(took);
    }

    /// Counts ended attempts. Call it after the commit.
    pub fn note_attempts(&self, attempts: impl IntoIterator<Item = JobAttempt>) {
        let mut counts = self.counts();
        for JobAttempt { kind, queue, outcome, waited, ran } in attempts {
            let key = (kind, queue);
            if let Some(waited) = waited {
                counts.waits.entry(key.clone()).or_insert_with(|| Histogram::new(&JOB_BOUNDS)).note(waited);
            }
            if let Some(ran) = ran {
                counts.runs.entry(key.clone()).or_insert_with(|| Histogram::new(&JOB_BOUNDS)).note(ran);
            }
            *counts.attempts.entry((key.0, key.1, outcome)).or_default() += 1;
        }
    }

    /// Writes all counters.
    pub(crate) fn write(&self, text: &mut Text) {
        let counts = self.counts();
        text.family(
            "uncloud_http_request_duration_seconds",
            "histogram",
            "Completed requests by operation and status.",
        );
        for ((operation, status), histogram) in &counts.requests {
            let labels = [("operation", *operation), ("status", &status.to_string())];
            text.histogram("uncloud_http_request_duration_seconds", &labels, histogram);
        }
        text.family("uncloud_job_attempts_total", "counter", "Ended attempts at jobs, by outcome.");
        for ((kind, queue, outcome), count) in &counts.attempts {
            let labels = [("kind", kind.as_str()), ("queue", queue), ("outcome", outcome)];
            text.sample("uncloud_job_attempts_total", &labels, count);
        }
        let families = [
            ("uncloud_job_wait_seconds", "Time from when a job was due until a worker started it.", &counts.waits),
            ("uncloud_job_run_seconds", "Time from the start of an attempt to its end.", &counts.runs),
        ];
        for (name, help, histograms) in families {
            text.family(name, "histogram", help);
            for ((kind, queue), histogram) in histograms {
                text.histogram(name, &[("kind", kind), ("queue", queue)], histogram);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_cumulates_histograms_and_escapes_labels() {
        let metrics = Metrics::default();
        for millis in [1, 3, 61_000] {
            metrics.note_request("job_read", 200, Duration::from_millis(millis));
        }
        let attempt =
            |outcome, ran| JobAttempt { kind: "a\"b\\c\nd".into(), queue: "q".into(), outcome, waited: None, ran };
        metrics.note_attempts([attempt("succeeded", Some(Duration::from_secs(2))), attempt("succeeded", None)]);
        let mut text = Text::default();
        metrics.write(&mut text);
        let text = text.into_string();
        for line in [
            "# TYPE uncloud_http_request_duration_seconds histogram",
            "uncloud_http_request_duration_seconds_bucket{operation=\"job_read\",status=\"200\",le=\"0.001\"} 1",
            "uncloud_http_request_duration_seconds_bucket{operation=\"job_read\",status=\"200\",le=\"0.005\"} 2",
            "uncloud_http_request_duration_seconds_bucket{operation=\"job_read\",status=\"200\",le=\"60\"} 2",
            "uncloud_http_request_duration_seconds_bucket{operation=\"job_read\",status=\"200\",le=\"+Inf\"} 3",
            "uncloud_http_request_duration_seconds_sum{operation=\"job_read\",status=\"200\"} 61.004",
            "uncloud_http_request_duration_seconds_count{operation=\"job_read\",status=\"200\"} 3",
            r#"uncloud_job_attempts_total{kind="a\"b\\c\nd",queue="q",outcome="succeeded"} 2"#,
            r#"uncloud_job_run_seconds_count{kind="a\"b\\c\nd",queue="q"} 1"#,
        ] {
            assert!(text.lines().any(|written| written == line), "{line} in\n{text}");
        }
    }
}
