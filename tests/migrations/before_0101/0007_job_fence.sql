-- What ties a worker's report to one dispatch of one job. Not job_id and attempt: after a restore from backup both are
-- given out again, while Redis may still hold jobs and reports of the time that was lost. The microseconds of the
-- dispatch are not.
alter table job
    add column fence bigint generated always as
        ((extract(epoch from dispatched_at at time zone 'UTC') * 1000000)::bigint) stored;
comment on column job.attempt is 'Only rises, with each dispatch; for people. See fence.';
