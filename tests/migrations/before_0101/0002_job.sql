-- Jobs: the authority and the outbox in one. A job is written in the transaction of the change that wants
-- it; the relay pushes it to Redis afterwards. Redis holds copies only, so losing Redis loses nothing.
create table job (
    job_id bigint generated always as identity primary key,
    -- The worker's name for its work: a host's FQDN, or a bare word for the provider's own queues.
    queue text not null,
    -- What to do; the code matches it exhaustively (src/kinds.rs). Never renamed, old rows keep it.
    kind text not null,
    -- Whom it is about, as identifiers only. Secrets are rendered at dispatch and never rest here.
    payload jsonb not null,
    -- Jobs of one key run one at a time, and at most one waits; null: no such limit.
    unique_key text,
    state text not null default 'queued',
    -- Not before this time; a retry moves it.
    run_at timestamptz not null default now(),
    -- Only rises, with each dispatch. Events carry it back, so a late one of an older attempt changes nothing.
    attempt integer not null default 0,
    -- Errors reported by workers, counted against the kind's limit. Losing Redis costs none.
    failures integer not null default 0,
    -- The newer twin that this job gave way to; always the last in the chain, never a superseded one.
    superseded_by bigint,
    -- Who ran it last, as the worker named itself.
    worker text,
    -- The last error, scrubbed for people; kept while the job waits for its next attempt.
    error text,
    result jsonb,
    created_at timestamptz not null default now(),
    dispatched_at timestamptz,
    -- When Redis or a worker was last known to have it; the sweep looks at rows where that is long ago.
    seen_at timestamptz,
    finished_at timestamptz,

    constraint job_superseded_by_fkey foreign key (superseded_by) references job,
    constraint job_queue_form check (queue ~ '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$'),
    constraint job_state check (state in
        ('queued', 'dispatched', 'running', 'succeeded', 'failed', 'revoked', 'superseded')),
    constraint job_counters check (attempt >= 0 and failures between 0 and attempt),
    constraint job_dispatched check (state not in ('dispatched', 'running') or (dispatched_at is not null and seen_at is not null)),
    constraint job_finished check ((finished_at is not null) = (state in ('succeeded', 'failed', 'revoked', 'superseded'))),
    constraint job_superseded check ((superseded_by is not null) = (state = 'superseded'))
) with (fillfactor = 70); -- a job is updated two or three times: room for that on its page

-- The relay's way to the next due job, however many finished ones there are.
create index job_due on job (run_at, job_id) where state = 'queued';
-- The sweep's way to what has not been heard of for long.
create index job_unseen on job (seen_at) where state in ('dispatched', 'running');
-- Which queues the events consumer listens to.
create index job_in_flight_queue on job (queue) where state in ('dispatched', 'running');
-- At most one waits per key: a second request joins it.
create unique index job_one_waiting on job (unique_key) where state = 'queued';
-- At most one is on its way per key: a host never works on one thing twice at a time.
create unique index job_one_in_flight on job (unique_key) where state in ('dispatched', 'running');
create index job_superseded_by on job (superseded_by) where superseded_by is not null;

-- Who asked for a job. Several requests may join one waiting job, and each asker may follow it.
create table job_requester (
    job_id bigint not null references job on delete cascade,
    user_id bigint not null references users on delete cascade,
    primary key (job_id, user_id)
);
create index job_requester_user on job_requester (user_id, job_id);
