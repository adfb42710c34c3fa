-- What bills promise, where the schema did not refuse yet what would break it.

-- From the millionth bill of a year on, six digits are not enough. A number names one bill.
alter table bill_number drop column number;
alter table bill_number
    add column number text not null
        generated always as (year::text || '-' || lpad(sequence::text, greatest(6, length(sequence::text)), '0')) stored,
    add constraint bill_number_number_key unique (number);

-- A bill charges what its own customer owes, in its own currency, and nothing of an order after the order's end.
create function record_fits_bill() returns trigger language plpgsql as $$
declare
    wrong bigint;
begin
    select added.bill_id into wrong
    from added join bill using (bill_id) left join orders using (order_id)
        left join bill_manual_line line on line_id = manual_line_id
    where (bill.user_id, bill.currency)
        is distinct from (coalesce(orders.user_id, line.user_id), coalesce(orders.currency, line.currency))
    limit 1;
    if found then
        raise exception 'bill % has a line that is another customer''s or in another currency', wrong
            using errcode = 'integrity_constraint_violation', constraint = 'bill_record_owner';
    end if;
    select order_id into wrong
    from added join orders using (order_id)
    where kind = 'recurring' and span_to > billing_ends_at
    limit 1;
    if found then
        raise exception 'order % is charged after its end', wrong
            using errcode = 'integrity_constraint_violation', constraint = 'bill_record_past_end';
    end if;
    return null;
end $$;
create trigger bill_record_fits after insert on bill_record
    referencing new table as added for each statement execute function record_fits_bill();

-- As long as a period of the program may be (`RecurringPeriod`).
alter table recurring_period
    drop constraint recurring_period_count,
    add constraint recurring_period_count check (count between 1 and 9999);
alter table orders
    drop constraint orders_period,
    add constraint orders_period check (
        (period_unit is null) = (period_count is null) and period_unit in ('hour', 'day', 'month', 'year')
        and period_count between 1 and 9999 and (period_unit is not null or (recurring_cents = 0 and commitment_periods = 0)));

-- Also asked for every network that is read, and nearly always about a worker that is there: plans are kept, as they
-- are not of an SQL function that can't be inlined.
create or replace function worker_silence(asked_queue text, state text, dispatched_at timestamptz) returns text
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
