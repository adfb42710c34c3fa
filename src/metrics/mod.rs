//! What Prometheus reads of a server.
//!
//! What happens is counted in the memory of the process that sees it happen: each event is applied by one server, so the sum
//! over all servers is right, a job costs no further write, and nobody counts the table of jobs, which grows with history.
//! Prometheus expects counters to begin anew with a process. What *is* (depths, workers) is asked of the database when
//! somebody looks, by the partial indexes on unfinished jobs.

mod histogram;
mod text;

pub(crate) use text::Text;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use self::histogram::Histogram;

/// Seconds. From a job that is done at once to one that ran into its limit.
const JOB_BOUNDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0, 3600.0];
/// Seconds. Up to the longest of long polls.
const HTTP_BOUNDS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 60.0];

/// The end of an attempt at a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobAttempt {
    /// What it did.
    pub kind: String,
    /// Whose work it was.
    pub queue: String,
    /// `succeeded`, `retry`, `snoozed`, `failed`, `revoked`, `superseded` or `lost`.
    pub outcome: &'static str,
    /// From when the job was due until it began; none when it never did.
    pub waited: Option<Duration>,
    /// From then until its end.
    pub ran: Option<Duration>,
}

/// What this process has seen.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By operation and status.
    requests: BTreeMap<(String, u16), Histogram>,
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

    /// A request was answered. Operations are those of the document: a caller can't make up any.
    pub fn note_request(&self, operation: &str, status: u16, took: Duration) {
        let key = (operation.to_owned(), status);
        self.counts().requests.entry(key).or_insert_with(|| Histogram::new(&HTTP_BOUNDS)).note(took);
    }

    /// Attempts have ended. Call it after the commit.
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
        text.family("uncloud_http_request_duration_seconds", "histogram", "Answered requests by operation and status.");
        for ((operation, status), histogram) in &counts.requests {
            let labels = [("operation", operation.as_str()), ("status", &status.to_string())];
            text.histogram("uncloud_http_request_duration_seconds", &labels, histogram);
        }
        text.family("uncloud_job_attempts_total", "counter", "Ended attempts at jobs, by what became of them.");
        for ((kind, queue, outcome), count) in &counts.attempts {
            let labels = [("kind", kind.as_str()), ("queue", queue), ("outcome", outcome)];
            text.sample("uncloud_job_attempts_total", &labels, count);
        }
        let families = [
            ("uncloud_job_wait_seconds", "From when a job was due until a worker began.", &counts.waits),
            ("uncloud_job_run_seconds", "From when a worker began until it had ended.", &counts.runs),
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
    fn histograms_are_cumulative_and_labels_are_escaped() {
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
