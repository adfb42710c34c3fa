-- Jobs, queues and workers.

-- A job, and the outbox entry that delivers it. The transaction of a change writes its job; the relay sends it to Redis
-- afterwards. Redis only has copies, so losing Redis loses no job.
create table job (
    job_id bigint generated always as identity primary key,
    -- The queue that the job's worker serves: a host's FQDN, or a single word for the provider's own queues.
    queue text not null,
    -- The work to do; the code matches it exhaustively. A kind is never renamed, because old rows keep the name.
    kind text not null,
    -- The objects of the work, as identifiers only. The server adds secrets when it dispatches the job; they are never stored here.
    payload jsonb not null,
    -- Of the jobs with one key, one runs at a time and at most one waits. Null: no such limit.
    unique_key text,
    state text not null default 'queued',
    -- The job does not start before this time; a retry moves it.
    run_at timestamptz not null default now(),
    -- For people: reports are matched by `fence`.
    attempt integer not null default 0,
    -- Errors that workers reported; the job fails when there are `max_failures`. A loss of Redis does not count.
    failures integer not null default 0,
    -- The newer job that replaced this one; always the last of the chain, so never itself a superseded one.
    superseded_by bigint,
    -- The worker that last ran it, by the worker's own name.
    worker text,
    -- The last error, without secrets; kept while the job waits for its next attempt.
    error text,
    result jsonb,
    created_at timestamptz not null default now(),
    dispatched_at timestamptz,
    -- When Redis or a worker was last known to have the job. Where that is long ago, the server dispatches it again.
    seen_at timestamptz,
    finished_at timestamptz,
    -- Ties a worker's report to one dispatch of one job. Not the pair of job_id and attempt: after a restore from a backup both
    -- are used a second time, while Redis may still have jobs and reports of the lost time. The microsecond of the dispatch
    -- does not come back.
    fence bigint generated always as
        ((extract(epoch from dispatched_at at time zone 'UTC') * 1000000)::bigint) stored,

    -- The terms, copied from the job's kind when it is enqueued: a job keeps them whichever version later runs it.
    max_failures integer not null default 8,
    backoff_base_ms integer not null default 1000,
    backoff_max_ms integer not null default 60000,
    -- After the soft limit the worker tells the handler to finish; after the hard one it ends the handler and its child
    -- processes. Null: no limit.
    soft_limit_ms integer,
    hard_limit_ms integer default 3600000,
    keep_secs integer not null default 604800,
    -- Jobs of priority 9 go first.
    priority smallint not null default 5,
    -- Jobs of one key run one after the other, in the order of their ids; any number of them may wait.
    serial_key text,
    -- The parents that have not ended. The relay only looks at jobs that have none.
    waits_for integer not null default 0,
    -- The number of parents. Most jobs have none, and the relay can tell without reading job_parent.
    parents integer not null default 0,
    progress jsonb,
    -- The HTTP request that led to the job: one id from the customer's response to the host's log.
    request_id text,
    -- Staff want the job revoked. The worker that may have it is told until it confirms.
    revoke_requested_at timestamptz,
    -- The duration of the last attempt by the worker's clock.
    took_ms integer,
    -- The job may be deleted after this time. A failed job waits for a person, so it is kept for at least a quarter.
    keep_until timestamp generated always as (
        (finished_at at time zone 'UTC')
        + make_interval(secs => case state when 'failed' then greatest(keep_secs, 7776000) else keep_secs end)) stored,
    -- When a worker was first known to run the current attempt.
    running_at timestamptz,
    -- Counts the workers that were given the current dispatch. Only the last one's reports count, since a worker that was
    -- thought dead may wake up and report on a job that another worker has by then.
    delivery integer not null default 1,

    constraint job_superseded_by_fkey foreign key (superseded_by) references job,
    constraint job_queue_form check (queue ~ '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$'),
    constraint job_state check (state in
        ('queued', 'dispatched', 'running', 'succeeded', 'failed', 'revoked', 'superseded')),
    constraint job_counters check (attempt >= 0 and failures between 0 and attempt),
    constraint job_dispatched check (state not in ('dispatched', 'running') or (dispatched_at is not null and seen_at is not null)),
    constraint job_finished check ((finished_at is not null) = (state in ('succeeded', 'failed', 'revoked', 'superseded'))),
    constraint job_superseded check ((superseded_by is not null) = (state = 'superseded')),
    constraint job_max_failures check (max_failures >= 1),
    constraint job_backoff check (backoff_base_ms >= 0 and backoff_max_ms >= 0),
    constraint job_limits check (soft_limit_ms > 0 and hard_limit_ms > 0),
    constraint job_keep_secs check (keep_secs >= 0),
    constraint job_priority check (priority between 0 and 9),
    constraint job_waits_for check (waits_for between 0 and parents),
    -- A job that is dispatched, or has run, waits for nothing.
    constraint job_waits_queued check (waits_for = 0 or state in ('queued', 'revoked', 'superseded')),
    constraint job_delivery_positive check (delivery >= 1)
) with (fillfactor = 70); -- a job is updated two or three times: room for the new versions on the same page
comment on column job.attempt is 'Only rises, with each dispatch; for people. See fence.';
comment on column job.keep_until is 'In UTC, without time zone because generated columns must not depend on a session.';
comment on column job.running_at is 'Of the last attempt; none for jobs that ended before their worker''s first heartbeat.';

-- All indexes but that of the ids have a condition: what they find stays quick however many jobs have finished.
-- Finds the jobs that have not been seen for long.
create index job_unseen on job (seen_at) where state in ('dispatched', 'running');
-- Finds the queues whose events the server has to read.
create index job_in_flight_queue on job (queue) where state in ('dispatched', 'running');
create index job_superseded_by on job (superseded_by) where superseded_by is not null;
create index job_keep_until on job (keep_until) where keep_until is not null;
-- Finds the next job of each queue, the most urgent first.
create index job_ready on job (queue, priority, run_at, job_id) where state = 'queued' and waits_for = 0;
create index job_serial on job (serial_key, job_id)
    where serial_key is not null and state in ('queued', 'dispatched', 'running');
create index job_revoking on job (queue) where revoke_requested_at is not null and state in ('dispatched', 'running');
create index job_failed on job (job_id) where state = 'failed';
-- At most one job of a key waits: a second request joins it. Jobs without a key need no entry.
create unique index job_one_waiting on job (unique_key) where state = 'queued' and unique_key is not null;
-- At most one job of a key is under way: a host never works on the same thing twice at a time.
create unique index job_one_in_flight on job (unique_key)
    where state in ('dispatched', 'running') and unique_key is not null;
-- Counts the jobs that wait for parents.
create index job_waiting_for_parents on job (queue) where state = 'queued' and waits_for > 0;
-- Tells when the next job is due. Not on the column itself: with that, the planner claims jobs by this index instead of
-- `job_ready` and reads all waiting jobs once for each priority.
create index job_next_due on job ((run_at at time zone 'UTC')) where state = 'queued' and waits_for = 0;

-- Machines move jobs; only what people do to them is audited: revoke one, run an ended one again, start a waiting one now.
create trigger audit after update of state, run_at, revoke_requested_at on job
    for each row when (
        old.revoke_requested_at is distinct from new.revoke_requested_at
        or (new.state = 'revoked' and old.state <> 'revoked')
        or (old.finished_at is not null and old.state <> new.state)
        or (old.state = 'queued' and new.state = 'queued' and new.run_at < old.run_at))
    execute function audit_change('job', 'job_id');
-- A bill run for all customers starts in a worker, outside any request; the user who wanted it requested the job.
create trigger audit_asked after insert on job
    for each row when (new.kind = 'bill_run') execute function audit_change('job', 'job_id');

-- The users who requested a job. Several requests may join one waiting job, and each of their users may follow it.
create table job_requester (
    job_id bigint not null references job on delete cascade,
    user_id bigint not null references users on delete cascade,
    primary key (job_id, user_id)
);
create index job_requester_user on job_requester (user_id, job_id);

-- The parents of a job, which starts when all of them have ended.
create table job_parent (
    job_id bigint not null references job on delete cascade,
    parent_id bigint not null references job on delete cascade,
    -- False: only the order matters, not whether the parent succeeded.
    needed boolean not null,
    -- The parent has ended and no longer counts in the child's waits_for.
    released boolean not null default false,
    primary key (job_id, parent_id),
    constraint job_parent_other check (parent_id <> job_id)
);
create index job_parent_waiting on job_parent (parent_id);

-- The attempts that did not end a job with success.
create table job_attempt (
    job_id bigint not null references job on delete cascade,
    attempt integer not null,
    outcome text not null,
    dispatched_at timestamptz,
    ended_at timestamptz not null default clock_timestamp(),
    worker text,
    error text,
    -- As in the table job.
    running_at timestamptz,
    took_ms integer,
    primary key (job_id, attempt),
    constraint job_attempt_outcome check (outcome in ('retry', 'snoozed', 'failed', 'lost', 'revoked'))
);

-- The settings that staff gave a queue. A queue without a row has the defaults.
create table job_queue (
    queue text primary key,
    -- Set: the relay dispatches no more jobs of it.
    paused_at timestamptz,
    -- The number of jobs that start in a period, on all workers together. Null: no limit.
    rate_limit integer,
    rate_period_secs integer not null default 1,
    -- The token bucket of that limit, and when it was last filled.
    tokens double precision not null default 1,
    tokens_at timestamptz not null default now(),
    -- When staff last pinged the workers, and when the server passed that on to them.
    ping_at timestamptz,
    pinged_at timestamptz,
    constraint job_queue_form check (queue ~ '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$'),
    constraint job_queue_rate check (rate_limit > 0 and rate_period_secs between 1 and 86400)
);
call audit_table('job_queue', 'queue', 'queue', 'tokens', 'tokens_at', 'ping_at', 'pinged_at');

-- The workers, as each last reported itself.
create table worker (
    worker_id bigint generated always as identity primary key,
    queue text not null,
    -- Chosen by each process when it starts, because two processes may have the same name.
    instance text not null,
    name text not null,
    version text not null,
    concurrency integer not null,
    -- The concurrency that staff want instead; the worker is told until it reports that number.
    concurrency_wanted integer,
    -- The jobs that it has.
    active jsonb not null,
    kinds text[] not null,
    started_at timestamptz not null,
    succeeded bigint not null,
    failed bigint not null,
    leases_lost bigint not null,
    rss_bytes bigint not null,
    seen_at timestamptz not null,
    -- The worker reported that it ends.
    stopped boolean not null default false,
    constraint worker_queue_instance_key unique (queue, instance),
    constraint worker_concurrency check (concurrency between 1 and 1024 and concurrency_wanted between 1 and 1024)
);
-- Workers start, report and stop by themselves; people only set their concurrency.
create trigger audit after update of concurrency_wanted on worker
    for each row when (old.concurrency_wanted is distinct from new.concurrency_wanted)
    execute function audit_change('worker', 'worker_id', 'active', 'succeeded', 'failed', 'leases_lost', 'rss_bytes', 'seen_at');

-- Explains why a dispatched job does not come back: a sentence for people, or null while its worker is there. Called for each
-- network that is read, so in plpgsql: its plans are kept, unlike those of an SQL function that can't be inlined.
create function worker_silence(asked_queue text, state text, dispatched_at timestamptz) returns text
    language plpgsql stable as $$
begin
    if state in ('dispatched', 'running') and dispatched_at < now() - interval '10 seconds' then
        return (
            select 'no worker has been seen on queue ' || asked_queue
                || coalesce(' since ' || to_char(max(seen_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), '')
                || '; start `uncloud-worker --queue ' || asked_queue || '`'
            from worker where queue = asked_queue
            having not coalesce(bool_or(not stopped and seen_at > now() - interval '15 seconds'), false));
    end if;
    return null;
end $$;
