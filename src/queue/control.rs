//! Sends staff's commands to workers, and repeats them until they have taken effect.

use std::time::Duration;

use redis::{AsyncCommands as _, Script, aio::ConnectionManager, streams::StreamMaxlen};
use tokio::sync::watch;
use uncloud_wire::{
    JobId, QueueName,
    stream::{Command, GROUP, reconnecting},
};

use super::{Runner, db, rescuer};
use crate::request_context;

const PERIOD: Duration = Duration::from_secs(2);
/// The number of commands kept for workers that start later; older ones are repeated if they still matter.
const KEPT: usize = 1000;

/// Removes a job that no worker has read. One script, so that no worker reads the job between the check and the
/// removal.
const TAKE_UNREAD: &str = r"
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
    local fields = {}
    for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
    if fields['job'] == ARGV[2] and fields['fence'] == ARGV[3] then
        local group = redis.pcall('XPENDING', KEYS[1], ARGV[1], entry[1], entry[1], 1)
        if group.err or #group == 0 then return redis.call('XDEL', KEYS[1], entry[1]) end
        return 0
    end
end
return 0";

pub(super) async fn run(runner: Runner, mut stop: watch::Receiver<bool>) {
    let mut connection = None;
    loop {
        if let Err(error) = tell(&runner, &mut connection).await {
            rescuer::put_off(&error, "commands are not sent to workers");
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = runner.wake.wait_for_control() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

async fn tell(runner: &Runner, connection: &mut Option<ConnectionManager>) -> anyhow::Result<()> {
    let redis = match connection {
        Some(redis) => redis,
        empty => empty.insert(reconnecting(&runner.redis)?),
    };
    let pinged = sqlx::query_scalar!(
        "update job_queue set pinged_at = ping_at where ping_at is not null and ping_at is distinct from pinged_at
         returning queue"
    )
    .fetch_all(&runner.pool)
    .await?;
    for queue in pinged {
        send(redis, &queue.parse()?, &Command::Ping).await?;
    }
    let unlike = sqlx::query!(
        r#"select queue, instance, desired_concurrency as "wanted!" from worker
           where desired_concurrency <> concurrency and not stopped and last_seen_at > now() - interval '15 seconds'"#
    )
    .fetch_all(&runner.pool)
    .await?;
    for worker in unlike {
        let concurrency = u16::try_from(worker.wanted)?;
        send(redis, &worker.queue.parse()?, &Command::Concurrency { instance: worker.instance, concurrency }).await?;
    }
    let unwanted = sqlx::query!(
        r#"select job_id, queue, fence as "fence!" from job
           where revoke_requested_at is not null and state in ('dispatched', 'running')"#
    )
    .fetch_all(&runner.pool)
    .await?;
    for job in unwanted {
        let queue: QueueName = job.queue.parse()?;
        if take_unread(redis, &queue, job.job_id, job.fence).await? {
            note_revoked(runner, job.job_id, job.fence).await?;
        } else {
            send(redis, &queue, &Command::Revoke { job: job.job_id, fence: job.fence }).await?;
        }
    }
    Ok(())
}

async fn send(redis: &mut ConnectionManager, queue: &QueueName, command: &Command) -> anyhow::Result<()> {
    let text = serde_json::to_string(command)?;
    let bound = StreamMaxlen::Approx(KEPT);
    let _: Option<String> = redis.xadd_maxlen(queue.control_key(), bound, "*", &[("command", text)]).await?;
    Ok(())
}

async fn take_unread(
    redis: &mut ConnectionManager,
    queue: &QueueName,
    job_id: JobId,
    fence: i64,
) -> anyhow::Result<bool> {
    let script = Script::new(TAKE_UNREAD);
    Ok(script.key(queue.jobs_key()).arg(GROUP).arg(job_id).arg(fence).invoke_async::<i64>(redis).await? > 0)
}

async fn note_revoked(runner: &Runner, job_id: JobId, fence: i64) -> sqlx::Result<()> {
    let mut tx = request_context::begin(&runner.pool).await?;
    let row = sqlx::query_scalar!(
        "select job_id from job where job_id = $1 and fence = $2 and state in ('dispatched', 'running') for update",
        job_id,
        fence
    )
    .fetch_optional(&mut *tx)
    .await?;
    if row.is_some() {
        db::revoke(&mut tx, &[job_id], "revoked by staff before a worker started it").await?;
        db::release_children(&mut tx, &[job_id]).await?;
    }
    tx.commit().await?;
    tracing::warn!(job = job_id, "job revoked before a worker started it");
    runner.finished(&[job_id]).await?;
    runner.wake.queued();
    Ok(())
}
