-- What it takes to run the runner: terms and order of each job, queues and workers as staff see and steer them, and what
-- became of earlier attempts.

-- Terms are copied from the job's kind when it is enqueued, so a job keeps them whatever program meets it later.
alter table job
    add column max_failures integer not null default 8,
    add column backoff_base_ms integer not null default 1000,
    add column backoff_max_ms integer not null default 60000,
    -- A handler is asked to wind up after the soft limit, and ended with its child processes after the hard one.
    add column soft_limit_ms integer,
    add column hard_limit_ms integer default 3600000,
    add column keep_secs integer not null default 604800,
    -- 9 goes first.
    add column priority smallint not null default 5,
    -- Jobs of one key run one after the other, in the order of their rows; any number may wait.
    add column serial_key text,
    -- Parents that have not ended; the relay sees the job when there are none.
    add column waits_for integer not null default 0,
    -- All parents: most jobs have none, and the relay need not ask.
    add column parents integer not null default 0,
    add column progress jsonb,
    -- The HTTP request that wanted it: one id from the customer's answer to the host's log.
    add column request_id text,
    -- Staff want it withdrawn; the worker that may have it is told until that is known.
    add column revoke_requested_at timestamptz,
    -- How long the last attempt ran, by the worker's clock.
    add column took_ms integer,

    add constraint job_max_failures check (max_failures >= 1),
    add constraint job_backoff check (backoff_base_ms >= 0 and backoff_max_ms >= 0),
    add constraint job_limits check (soft_limit_ms > 0 and hard_limit_ms > 0),
    add constraint job_keep_secs check (keep_secs >= 0),
    add constraint job_priority check (priority between 0 and 9),
    add constraint job_waits_for check (waits_for between 0 and parents),
    add constraint job_waits_queued check (waits_for = 0 or state in ('queued', 'revoked', 'superseded'));

-- When a finished job may be forgotten. What failed waits for people, so it is kept for a quarter at least.
alter table job
    add column keep_until timestamp generated always as (
        (finished_at at time zone 'UTC')
        + make_interval(secs => case state when 'failed' then greatest(keep_secs, 7776000) else keep_secs end)) stored;
comment on column job.keep_until is 'In UTC, without time zone because generated columns must not depend on a session.';
create index job_keep_until on job (keep_until) where keep_until is not null;

drop index job_due;
-- The relay's way to each queue's next job, most urgent first; and to the time when the next one is due.
create index job_ready on job (queue, priority, run_at, job_id) where state = 'queued' and waits_for = 0;
create index job_next_due on job (run_at) where state = 'queued' and waits_for = 0;
create index job_serial on job (serial_key, job_id)
    where serial_key is not null and state in ('queued', 'dispatched', 'running');
create index job_revoking on job (queue) where revoke_requested_at is not null and state in ('dispatched', 'running');
create index job_failed on job (job_id) where state = 'failed';

-- Most jobs have no key: no entries for those.
drop index job_one_waiting;
create unique index job_one_waiting on job (unique_key) where state = 'queued' and unique_key is not null;
drop index job_one_in_flight;
create unique index job_one_in_flight on job (unique_key)
    where state in ('dispatched', 'running') and unique_key is not null;

-- A job runs after its parents have ended.
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

-- What became of attempts that were not the job's success.
create table job_attempt (
    job_id bigint not null references job on delete cascade,
    attempt integer not null,
    outcome text not null,
    dispatched_at timestamptz,
    ended_at timestamptz not null default clock_timestamp(),
    worker text,
    error text,
    primary key (job_id, attempt),
    constraint job_attempt_outcome check (outcome in ('retry', 'snoozed', 'failed', 'lost', 'revoked'))
);

-- What staff want of a queue; without a row, nothing special.
create table job_queue (
    queue text primary key,
    -- Nothing more is dispatched.
    paused_at timestamptz,
    -- So many jobs a period start, on all workers together; null: no limit.
    rate_limit integer,
    rate_period_secs integer not null default 1,
    tokens double precision not null default 1,
    tokens_at timestamptz not null default now(),
    -- When staff last asked who is there, and when the workers were last passed the question.
    ping_at timestamptz,
    pinged_at timestamptz,
    constraint job_queue_form check (queue ~ '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$'),
    constraint job_queue_rate check (rate_limit > 0 and rate_period_secs between 1 and 86400)
);

-- Workers as they last reported.
create table worker (
    worker_id bigint generated always as identity primary key,
    queue text not null,
    -- Made by each process at its start: two may have one name.
    instance text not null,
    name text not null,
    version text not null,
    concurrency integer not null,
    -- What staff want instead; the worker is told until it reports it.
    concurrency_wanted integer,
    -- The jobs that it holds.
    active jsonb not null,
    kinds text[] not null,
    started_at timestamptz not null,
    succeeded bigint not null,
    failed bigint not null,
    leases_lost bigint not null,
    rss_bytes bigint not null,
    seen_at timestamptz not null,
    -- It said that it ends.
    stopped boolean not null default false,
    constraint worker_queue_instance_key unique (queue, instance),
    constraint worker_concurrency check (concurrency between 1 and 1024 and concurrency_wanted between 1 and 1024)
);

-- Takes the place of the table worker_seen.
create or replace function worker_silence(asked_queue text, state text, dispatched_at timestamptz) returns text
    language sql stable
    return case
        when state in ('dispatched', 'running') and dispatched_at < now() - interval '10 seconds' and not exists (
            select from worker where queue = asked_queue and not stopped and seen_at > now() - interval '15 seconds')
        then 'no worker has been seen on queue ' || asked_queue || coalesce(
                ' since ' || (select to_char(max(seen_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
                              from worker where queue = asked_queue), '')
            || '; start `uncloud-worker --queue ' || asked_queue || '`'
    end;
drop table worker_seen;
