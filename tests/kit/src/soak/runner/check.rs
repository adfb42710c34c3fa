//! Checks that are made while nothing is under way.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use redis::{Commands as _, streams::StreamPendingReply};
use uncloud_wire::JobId;

use super::{
    cluster::Cluster,
    customer::{Customer, Ending},
    plan::SETTLES,
};
use crate::runner::{Action, queue_name};

const UNSETTLED: &str = "select format('job %s (%s): %s, attempt %s, %s', job_id, kind, state, attempt, error)
    from job where state in ('queued', 'dispatched', 'running') order by job_id";

/// Finds jobs with a dispatch that is not accounted for: each failed, was snoozed, lost or revoked, or succeeded.
const UNACCOUNTED: &str =
    "select format('job %s (%s): %s, attempt %s of which %s are known', job_id, kind, state, attempt, known)
    from job, lateral (select count(*) as known from job_attempt past where past.job_id = job.job_id) past
    where state in ('succeeded', 'failed') and attempt <> known + (state = 'succeeded')::int";

/// Finds jobs that were dispatched before one that they wait for had ended.
const TOO_EARLY: &str = "select format('job %s at %s, job %s ended at %s', child.job_id, child.dispatched_at, parent.job_id, parent.finished_at)
    from job_parent edge join job child using (job_id) join job parent on parent.job_id = edge.parent_id
    where child.dispatched_at < parent.finished_at and child.state = 'succeeded'";

/// Waits until nothing is under way any more, then compares what became of everything with what was promised.
pub(super) fn at_rest(cluster: &mut Cluster, customers: &[Customer]) -> Duration {
    let started = Instant::now();
    loop {
        let unsettled = cluster.stage.rows::<(String,)>(UNSETTLED);
        if unsettled.is_empty() {
            break;
        }
        assert!(started.elapsed() < SETTLES, "does not come to rest: {unsettled:#?}");
        cluster.sleep(Duration::from_millis(50));
    }
    let took = started.elapsed();
    cluster.stage.wait_until_redis_is_empty();
    let pending: StreamPendingReply =
        cluster.stage.redis.connect().xpending(queue_name().jobs_key(), "workers").unwrap_or_default();
    assert_eq!(pending.count(), 0, "nobody holds anything");
    for sql in [UNACCOUNTED, TOO_EARLY] {
        assert_eq!(cluster.stage.rows::<(String,)>(sql), Vec::<(String,)>::new());
    }
    compare(cluster, customers);
    calm(cluster);
    took
}

/// Returns state and error of every job; a job that gave way to a duplicate ended as that did.
fn endings(cluster: &Cluster) -> BTreeMap<JobId, (String, String)> {
    let sql = "select asked.job_id, job.state, coalesce(job.error, '')
               from job asked join job on job.job_id = coalesce(asked.superseded_by, asked.job_id)";
    cluster
        .stage
        .rows::<(JobId, String, String)>(sql)
        .into_iter()
        .map(|(job, state, error)| (job, (state, error)))
        .collect()
}

fn compare(cluster: &Cluster, customers: &[Customer]) {
    let endings = endings(cluster);
    let special = cluster.special.lock().expect("no panic");
    let parents = cluster.stage.rows::<(JobId, JobId)>("select job_id, parent_id from job_parent where needed");
    for (job, ending) in customers.iter().flat_map(Customer::promised) {
        let (state, error) = endings.get(&job).unwrap_or_else(|| panic!("job {job} is lost"));
        let killed = state == "failed" && error.contains("its worker died 3 times");
        if special.contains(&job) || killed {
            continue;
        }
        let orphan = parents.iter().any(|(child, parent)| *child == job && endings[parent].0 != "succeeded");
        let expected = match ending {
            Ending::Succeeds => "succeeded",
            Ending::Follows if !orphan => "succeeded",
            Ending::Follows | Ending::Fails => "failed",
        };
        // A duplicate of a revoked job is the customer's as well.
        let revoked = state == "revoked" && error.contains("revoked by staff");
        assert!(state == expected || revoked, "job {job} should be {expected}, is {state}: {error}");
    }
}

/// Checks that jobs now run once each and no worker takes anything over.
fn calm(cluster: &Cluster) {
    let jobs: Vec<JobId> = (0..10).map(|_| cluster.stage.enqueue(&Action::Sleep { millis: 0 })).collect();
    for job in jobs {
        assert_eq!(cluster.stage.wait_for(job, "succeeded").attempt, 1);
        assert_eq!(cluster.stage.starts(job).len(), 1, "job {job}");
    }
}

/// Counts jobs that were given up because their workers died, and starts beyond the first of each dispatch.
pub(super) fn prices(cluster: &Cluster) -> (usize, i64) {
    let endings = endings(cluster);
    let given_up = endings.values().filter(|(_, error)| error.contains("its worker died 3 times")).count();
    let attempts = cluster.stage.rows::<(JobId, i32)>("select job_id, attempt from job where kind <> 'nothing'");
    let extra = |(job, attempts): &(JobId, i32)| {
        let starts = i32::try_from(cluster.stage.starts(*job).len()).expect("small");
        assert!(starts <= attempts * 3, "job {job} was started {starts} times in {attempts} attempts");
        i64::from((starts - attempts).max(0))
    };
    (given_up, attempts.iter().map(extra).sum())
}
