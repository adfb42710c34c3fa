-- Counts the workers that were given this dispatch; only the last one's reports count, since a worker that was thought dead
-- may wake up and report on what another one has by now.
alter table job add column delivery integer not null default 1 constraint job_delivery_positive check (delivery >= 1);
