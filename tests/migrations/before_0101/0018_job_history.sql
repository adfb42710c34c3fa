-- A job's history: when a worker was known to be at it, in this attempt and in the earlier ones.
alter table job add column running_at timestamptz;
comment on column job.running_at is 'Of the last attempt; none for jobs that ended before their worker''s first heartbeat.';
alter table job_attempt
    add column running_at timestamptz,
    add column took_ms integer;

-- Jobs that wait for parents are counted without a look at finished ones, like the others (job_ready, job_in_flight_queue).
create index job_waiting_for_parents on job (queue) where state = 'queued' and waits_for > 0;

-- Who refers to a job that is to be forgotten. Neither column changes with anything but a new job of its own row.
create index vpn_network_job on vpn_network (job_id) where job_id is not null;
create index vpn_pool_job on vpn_pool (job_id) where job_id is not null;
