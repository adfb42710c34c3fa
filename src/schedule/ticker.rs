//! Enqueues the jobs of schedules that are due. Any number of servers may do so at the same time.

use std::{sync::Arc, time::Duration};

use sqlx::{Acquire as _, PgConnection, PgPool};
use tokio::sync::watch;

use super::{db, definition::Schedule, enqueue_job};
use crate::{
    queue::{Notifier, wake_relays},
    schedule::Scheduled,
};

/// The longest wait between checks: changes are announced, but an announcement may get lost, and the database's clock
/// may be put forward while this task sleeps by the server's.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// The shortest wait, while another server handles the due schedules.
const MOMENT: Duration = Duration::from_millis(20);

/// Runs the ticker until `stop` becomes true. Between two due times it does not query the database.
pub async fn run(pool: PgPool, wake: Arc<Notifier>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let wait = match tick(&pool).await {
            Ok(true) => continue,
            Ok(false) => sleep(&pool).await,
            Err(error) => Err(error),
        };
        let wait = wait.unwrap_or_else(|error| {
            tracing::warn!(error = format!("{error:#}"), "could not run the due schedules; retrying");
            Duration::from_secs(1)
        });
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = wake.wait_for_schedules() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn sleep(pool: &PgPool) -> anyhow::Result<Duration> {
    let secs = db::secs_to_next(pool).await?.unwrap_or(f64::MAX);
    Ok(Duration::try_from_secs_f64(secs.max(0.0)).unwrap_or(LOOK_AGAIN).clamp(MOMENT, LOOK_AGAIN))
}

/// Runs the schedule that is due longest; returns false if none is due. Its job, the record of the tick and the next
/// due time are one transaction: if a server dies, either all of them exist or none.
async fn tick(pool: &PgPool) -> anyhow::Result<bool> {
    let mut tx = crate::request_context::begin(pool).await?;
    let Some(schedule) = db::lock_due(&mut tx).await? else {
        tx.commit().await?;
        return Ok(false);
    };
    advance(&mut tx, &schedule).await?;
    tx.commit().await?;
    wake_relays(pool).await?;
    Ok(true)
}

async fn advance(tx: &mut PgConnection, schedule: &Schedule) -> anyhow::Result<()> {
    let (id, name) = (schedule.schedule_id, &schedule.name);
    let (Ok(timing), Some(kind), Some(due)) =
        (&schedule.timing, Scheduled::parse(&schedule.kind), schedule.next_run_at)
    else {
        tracing::error!(schedule = name, "the schedule can't be read and is paused; `uncloud schedule show` says why");
        return Ok(db::pause(tx, id).await?);
    };
    // After now: this one job makes up for the ticks missed while no server ran. After the due time: the clock may have
    // been put back since.
    let Some(next) = timing.next(crate::clock::now(&mut *tx).await?.max(due), due) else {
        tracing::warn!(schedule = name, "the schedule has no further due time and is paused");
        return Ok(db::pause(tx, id).await?);
    };
    let mut once = tx.begin().await?;
    let job = enqueue_job(&mut once, schedule, kind).await?;
    if db::note_tick(&mut once, id, due, job).await? {
        once.commit().await?;
        tracing::info!(schedule = name, %due, job, %next, "schedule was due; its job is queued");
    } else {
        once.rollback().await?;
        tracing::warn!(schedule = name, %due, %next, "this due time already had its job");
    }
    Ok(db::advance(tx, id, due, next).await?)
}
