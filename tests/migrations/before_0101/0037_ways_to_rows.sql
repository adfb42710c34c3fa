-- When the next job is due. Not on the time itself: for that the planner took this index instead of `job_ready` to claim by,
-- and looked through all that waits once for each priority.
drop index job_next_due;
create index job_next_due on job ((run_at at time zone 'UTC')) where state = 'queued' and waits_for = 0;

-- From an order to all that were to replace it, void ones too: each order that is shown is followed through its line.
create index orders_replaced on orders (replaces) where replaces is not null;
