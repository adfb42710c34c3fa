-- Schedules: what is to be done again and again. Every server looks after all of them; the database sees to it that each
-- tick is one job, however many servers run.
create table schedule (
    schedule_id bigint generated always as identity primary key,
    name text not null,
    -- What to do; the code matches it exhaustively (src/kinds.rs), and the queue follows from it: none can name a wrong one.
    kind text not null,
    -- Whom it is about; becomes the jobs' payload.
    payload jsonb not null default '{}',
    -- When: five fields of cron, read in a time zone of the IANA database; or so many seconds after the last due time.
    cron text,
    time_zone text,
    every_secs integer,
    -- The next tick; none while paused.
    next_run_at timestamptz,
    paused_at timestamptz,
    -- The last tick's due time, which the next one has to be after, whatever becomes of the clock.
    last_due_at timestamptz,
    -- The last job and when it was asked for, by a tick or by hand; when the job is forgotten, the time stays.
    last_run_at timestamptz,
    last_job_id bigint,
    -- The jobs' terms, where they differ from those of their kind.
    priority smallint,
    max_failures integer,
    hard_limit_secs integer,
    keep_secs integer,
    created_at timestamptz not null default now(),

    constraint schedule_name_key unique (name),
    constraint schedule_name_form check (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    constraint schedule_last_job_fkey foreign key (last_job_id) references job on delete set null,
    constraint schedule_payload check (jsonb_typeof(payload) = 'object'),
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

-- A tick: one due time of one schedule, written in the transaction that asks for its job. A second one is refused. Goes
-- with its job, when that is forgotten.
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

-- What a provider starts with. Here and not in a command, because a migration runs once: what staff change or delete stays
-- so. The first tick is hours away, so that nothing happens by itself while an installation is being set up.
insert into schedule (name, kind, cron, time_zone, next_run_at) values
    ('vpn-reconcile', 'vpn_reconcile', '17 3 * * *', 'UTC',
     (date_trunc('day', now() at time zone 'UTC') + interval '1 day 3 hours 17 minutes') at time zone 'UTC');
insert into schedule (name, kind, every_secs, next_run_at) values
    ('job-cleanup', 'job_cleanup', 3600, now() + interval '1 hour');
