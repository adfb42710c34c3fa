//! What must hold when all is still.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use redis::{Commands as _, streams::StreamPendingReply};
use uncloud_wire::JobId;

use super::{
    SETTLES,
    cast::Cast,
    customer::{Customer, Ending},
};
use crate::{actor::Act, stage::queue_name};

const UNSETTLED: &str = "select format('job %s (%s): %s, attempt %s, %s', job_id, kind, state, attempt, error)
    from job where state in ('queued', 'dispatched', 'running') order by job_id";

/// Each dispatch is accounted for: it failed, was snoozed, lost or revoked, or it was the one that succeeded.
const UNACCOUNTED: &str =
    "select format('job %s (%s): %s, attempt %s of which %s are known', job_id, kind, state, attempt, known)
    from job, lateral (select count(*) as known from job_attempt past where past.job_id = job.job_id) past
    where state in ('succeeded', 'failed') and attempt <> known + (state = 'succeeded')::int";

/// Jobs that went out before one that they wait for had ended.
const TOO_EARLY: &str = "select format('job %s at %s, job %s ended at %s', child.job_id, child.dispatched_at, parent.job_id, parent.finished_at)
    from job_parent edge join job child using (job_id) join job parent on parent.job_id = edge.parent_id
    where child.dispatched_at < parent.finished_at and child.state = 'succeeded'";

/// Waits until nothing is under way any more, then compares what became of everything with what was promised.
pub(super) fn at_rest(cast: &mut Cast, customers: &[Customer]) -> Duration {
    let started = Instant::now();
    loop {
        let unsettled = cast.stage.rows::<(String,)>(UNSETTLED);
        if unsettled.is_empty() {
            break;
        }
        assert!(started.elapsed() < SETTLES, "does not come to rest: {unsettled:#?}");
        cast.sleep(Duration::from_millis(50));
    }
    let took = started.elapsed();
    cast.stage.wait_until_redis_is_empty();
    let pending: StreamPendingReply =
        cast.stage.redis().xpending(queue_name().jobs_key(), "workers").unwrap_or_default();
    assert_eq!(pending.count(), 0, "nobody holds anything");
    for sql in [UNACCOUNTED, TOO_EARLY] {
        assert_eq!(cast.stage.rows::<(String,)>(sql), Vec::<(String,)>::new());
    }
    compare(cast, customers);
    calm(cast);
    took
}

/// State and error of every job; a job that gave way to a twin ended as that did.
fn endings(cast: &Cast) -> BTreeMap<JobId, (String, String)> {
    let sql = "select asked.job_id, job.state, coalesce(job.error, '')
               from job asked join job on job.job_id = coalesce(asked.superseded_by, asked.job_id)";
    cast.stage
        .rows::<(JobId, String, String)>(sql)
        .into_iter()
        .map(|(job, state, error)| (job, (state, error)))
        .collect()
}

fn compare(cast: &Cast, customers: &[Customer]) {
    let endings = endings(cast);
    let special = cast.special.lock().expect("no panic");
    let parents = cast.stage.rows::<(JobId, JobId)>("select job_id, parent_id from job_parent where needed");
    for (job, ending) in customers.iter().flat_map(Customer::promised) {
        let (state, error) = endings.get(&job).unwrap_or_else(|| panic!("job {job} is lost"));
        let killed = state == "failed" && error.contains("its worker died 3 times");
        if special.contains(&job) || killed {
            continue;
        }
        let orphan = parents.iter().any(|(child, parent)| *child == job && endings[parent].0 != "succeeded");
        let wanted = match ending {
            Ending::Succeeds => "succeeded",
            Ending::Follows if !orphan => "succeeded",
            Ending::Follows | Ending::Fails => "failed",
        };
        // A twin of a job that was revoked is the customer's as well.
        let revoked = state == "revoked" && error.contains("revoked by staff");
        assert!(state == wanted || revoked, "job {job} is to be {wanted}, is {state}: {error}");
    }
}

/// After all that, jobs run once each and nobody takes anything over.
fn calm(cast: &Cast) {
    let jobs: Vec<JobId> = (0..10).map(|_| cast.stage.enqueue(&Act::Sleep { millis: 0 })).collect();
    for job in jobs {
        assert_eq!(cast.stage.wait_for(job, "succeeded").attempt, 1);
        assert_eq!(cast.stage.begun(job).len(), 1, "job {job}");
    }
}

/// Jobs that were given up because their workers died, and runs beyond the first of each dispatch.
pub(super) fn prices(cast: &Cast) -> (usize, i64) {
    let endings = endings(cast);
    let given_up = endings.values().filter(|(_, error)| error.contains("its worker died 3 times")).count();
    let attempts = cast.stage.rows::<(JobId, i32)>("select job_id, attempt from job where kind <> 'nothing'");
    let extra = |(job, attempts): &(JobId, i32)| {
        let begun = i32::try_from(cast.stage.begun(*job).len()).expect("small");
        assert!(begun <= attempts * 3, "job {job} began {begun} times in {attempts} attempts");
        i64::from((begun - attempts).max(0))
    };
    (given_up, attempts.iter().map(extra).sum())
}
