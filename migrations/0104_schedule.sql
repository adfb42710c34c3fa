-- Schedules: jobs that are requested again and again. Each server looks after all of them; the database makes sure that a tick
-- becomes one job, however many servers run.
create table schedule (
    schedule_id bigint generated always as identity primary key,
    name text not null,
    -- The work to do; the code matches it exhaustively. The queue follows from it, so no schedule can name a wrong one.
    kind text not null,
    -- The payload of the jobs.
    payload jsonb not null default '{}',
    -- When: five fields of cron, read in a time zone of the IANA database, or a number of seconds after the last due time.
    cron text,
    time_zone text,
    every_secs integer,
    -- The next tick; null while the schedule is paused.
    next_run_at timestamptz,
    paused_at timestamptz,
    -- The due time of the last tick. The next one is later, even if the clock was set back.
    last_due_at timestamptz,
    -- The last job and when it was requested, by a tick or by staff. The time stays when the job is deleted.
    last_run_at timestamptz,
    last_job_id bigint,
    -- The terms of the jobs, where they differ from those of their kind.
    priority smallint,
    max_failures integer,
    hard_limit_secs integer,
    keep_secs integer,
    created_at timestamptz not null default now(),

    constraint schedule_name_key unique (name),
    constraint schedule_name_form check (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    constraint schedule_last_job_fkey foreign key (last_job_id) references job on delete set null,
    constraint schedule_payload check (jsonb_typeof(payload) = 'object'),
    -- Either cron in a time zone, or an interval.
    constraint schedule_timing check (
        (cron is null) = (time_zone is null) and (cron is null) <> (every_secs is null)),
    constraint schedule_every_secs check (every_secs between 1 and 31622400),
    constraint schedule_paused check ((next_run_at is null) = (paused_at is not null)),
    constraint schedule_forward check (next_run_at > last_due_at),
    constraint schedule_terms check (
        priority between 0 and 9 and max_failures between 1 and 1000 and hard_limit_secs between 1 and 86400
        and keep_secs between 0 and 315360000)
);
create index schedule_due on schedule (next_run_at) where next_run_at is not null;
create index schedule_last_job on schedule (last_job_id) where last_job_id is not null;

-- A tick: one due time of one schedule, written in the transaction that requests its job, so that a second one is refused.
-- Deleted together with its job.
create table schedule_tick (
    schedule_id bigint not null,
    due_at timestamptz not null,
    ran_at timestamptz not null default clock_timestamp(),
    job_id bigint not null,
    constraint schedule_tick_key primary key (schedule_id, due_at),
    constraint schedule_tick_schedule_fkey foreign key (schedule_id) references schedule on delete cascade,
    constraint schedule_tick_job_fkey foreign key (job_id) references job on delete cascade
);
create index schedule_tick_job on schedule_tick (job_id);

-- The schedules of a new installation. In a migration instead of a command, because a migration runs once: what staff change
-- or delete stays so. The first ticks are an hour away at least, so that nothing starts by itself during the setup. Before
-- the audit trigger: no person made them. All customers are billed on the first of the month, in the time zone of the seller
-- that `uncloud db-add-defaults` adds; staff move or pause it (`uncloud schedule`).
insert into schedule (name, kind, cron, time_zone, next_run_at) values
    ('vpn-reconcile', 'vpn_reconcile', '17 3 * * *', 'UTC',
     (date_trunc('day', now() at time zone 'UTC') + interval '1 day 3 hours 17 minutes') at time zone 'UTC');
insert into schedule (name, kind, every_secs, next_run_at) values
    ('job-cleanup', 'job_cleanup', 3600, now() + interval '1 hour');
insert into schedule (name, kind, cron, time_zone, next_run_at) values
    ('bill-run', 'bill_run', '0 1 1 * *', 'Europe/Zurich',
     (date_trunc('month', now() at time zone 'Europe/Zurich') + interval '1 month 1 hour') at time zone 'Europe/Zurich');

call audit_table('schedule', 'schedule', 'schedule_id', 'next_run_at', 'last_due_at', 'last_run_at', 'last_job_id');
-- A run that staff started. A tick also moves last_due_at and is not audited.
create trigger audit_run after update of last_run_at on schedule
    for each row when (
        old.last_run_at is distinct from new.last_run_at and old.last_due_at is not distinct from new.last_due_at)
    execute function audit_change('schedule', 'schedule_id', 'next_run_at');
