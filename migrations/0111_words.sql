-- Renames columns, a table, stored values and constraints to the words that the API uses. No row changes its meaning, and no
-- person made these changes, so the audit log gets no entries for them. Entries from before keep the names of columns that they
-- were written with; only their action and kind change, so that the history of an object is found as a whole.

-- Users.
alter table users rename column staff_by_hand to staff_manual;

-- Jobs, queues, workers.
alter table job rename column keep_secs to keep_seconds;
alter table job rename column took_ms to duration_ms;
alter table job rename column seen_at to last_seen_at;
alter table job rename constraint job_keep_secs to job_keep_seconds;
alter table job_attempt rename column took_ms to duration_ms;
alter table job_queue rename column rate_period_secs to rate_period_seconds;
alter table worker rename column concurrency_wanted to desired_concurrency;
alter table worker rename column seen_at to last_seen_at;
-- The names of columns among its arguments are text, so a rename does not reach them.
create or replace trigger audit after update of desired_concurrency on worker
    for each row when (old.desired_concurrency is distinct from new.desired_concurrency)
    execute function audit_change('worker', 'worker_id', 'active', 'succeeded', 'failed', 'leases_lost', 'rss_bytes',
        'last_seen_at');

create or replace function worker_silence(asked_queue text, state text, dispatched_at timestamptz) returns text
    language plpgsql stable as $$
begin
    if state in ('dispatched', 'running') and dispatched_at < now() - interval '10 seconds' then
        return (
            select 'no worker has been seen on queue ' || asked_queue
                || coalesce(' since ' || to_char(max(last_seen_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), '')
                || '; start `uncloud-worker --queue ' || asked_queue || '`'
            from worker where queue = asked_queue
            having not coalesce(bool_or(not stopped and last_seen_at > now() - interval '15 seconds'), false));
    end if;
    return null;
end $$;

-- Schedules.
alter table schedule rename column every_secs to every_seconds;
alter table schedule rename column hard_limit_secs to hard_limit_seconds;
alter table schedule rename column keep_secs to keep_seconds;
alter table schedule rename constraint schedule_every_secs to schedule_every_seconds;

-- The catalogue.
alter table product rename column billing to billing_mode;
alter table product rename constraint product_billing to product_billing_mode;
alter table product drop constraint product_delivery;
alter table product disable trigger audit;
update product set delivery = 'manual' where delivery = 'by_hand';
alter table product enable trigger audit;
alter table product add constraint product_delivery check (delivery in ('vpn_network', 'manual'));

-- Orders.
alter table orders rename column billing to billing_mode;
alter table orders rename constraint orders_billing to orders_billing_mode;
alter table orders rename column withdraw_at to terminate_at;
alter table orders rename column withdrawn_at to terminated_at;
alter table orders rename column withdrawn_by to terminated_by;
alter table orders rename constraint orders_withdrawn_by_fkey to orders_terminated_by_fkey;
alter index orders_to_withdraw rename to orders_to_terminate;

-- VPN networks.
alter table vpn_network_traffic rename column last_handshake_at to latest_handshake_at;

-- Bills. `amount_due`, `taxable_amount` and `tax_amount` are the terms BT-115, BT-116 and BT-117 of EN 16931.
alter table bill rename column payable_cents to amount_due_cents;
alter table bill rename constraint bill_payable to bill_amount_due;
alter table bill_vat rename column base_cents to taxable_amount_cents;
alter table bill_vat rename column tax_cents to tax_amount_cents;
update bill_run_problem set code = case code
        when 'refused_by_database' then 'inconsistent_records'
        when 'other_currency' then 'currency_mismatch'
        else code end
    where code in ('refused_by_database', 'other_currency');

alter table bill_manual_line rename to bill_item;
alter table bill_item rename column line_id to item_id;
alter table bill_item rename column author to created_by;
alter table bill_item rename column withdrawn_at to voided_at;
alter table bill_item rename column withdrawn_by to voided_by;
alter table bill_item rename constraint bill_manual_line_pkey to bill_item_pkey;
alter table bill_item rename constraint bill_manual_line_user_id_fkey to bill_item_user_id_fkey;
alter table bill_item rename constraint bill_manual_line_author_fkey to bill_item_created_by_fkey;
alter table bill_item rename constraint bill_manual_line_withdrawn_by_fkey to bill_item_voided_by_fkey;
alter table bill_item rename constraint bill_manual_line_currency_form to bill_item_currency_form;
alter table bill_item rename constraint bill_manual_line_text to bill_item_text;
alter table bill_item rename constraint bill_manual_line_withdrawn to bill_item_voided;
alter table bill_item rename constraint bill_manual_line_not_zero to bill_item_not_zero;
alter index bill_manual_line_open rename to bill_item_open;
alter index bill_manual_line_user rename to bill_item_user;
alter trigger bill_manual_line_final on bill_item rename to bill_item_final;
alter trigger bill_manual_line_kept on bill_item rename to bill_item_kept;
alter sequence bill_manual_line_line_id_seq rename to bill_item_item_id_seq;
call audit_table('bill_item', 'bill_item', 'item_id', 'billed');
alter table bill_record rename column manual_line_id to item_id;
alter table bill_record rename constraint bill_record_manual_line_id_fkey to bill_record_item_id_fkey;

create or replace function record_fits_bill() returns trigger language plpgsql as $$
declare
    wrong record;
begin
    select added.bill_id, order_id, whose.wrong as of_another
    into wrong
    from added join bill using (bill_id) left join orders using (order_id)
        left join bill_item item on item.item_id = added.item_id
        cross join lateral (
            select (bill.user_id, bill.currency)
                is distinct from (coalesce(orders.user_id, item.user_id), coalesce(orders.currency, item.currency)) as wrong) whose
    where whose.wrong or (kind = 'recurring' and span_to > billing_ends_at)
    limit 1;
    if not found then
        return null;
    elsif wrong.of_another then
        raise exception 'bill % has a record that is another customer''s or in another currency', wrong.bill_id
            using errcode = 'integrity_constraint_violation', constraint = 'bill_record_owner';
    end if;
    raise exception 'order % is charged after its end', wrong.order_id
        using errcode = 'integrity_constraint_violation', constraint = 'bill_record_past_end';
end $$;

create or replace function bills_are_sound() returns trigger language plpgsql as $$
declare
    wrong bigint;
begin
    if exists (
        select from (select year, min(sequence) as first, max(sequence) as last, count(*) as numbers from added group by year) given
        where last - first + 1 <> numbers
            or first <> 1 + coalesce((select max(sequence) from bill_number earlier where earlier.year = given.year and earlier.sequence < given.first), 0))
    then
        raise exception 'bill numbers have no gaps'
            using errcode = 'integrity_constraint_violation', constraint = 'bill_number_gapless';
    end if;
    select bill_id into wrong
    from (
        -- What is taxed alike: its lines, and the one row of VAT that sums them up.
        select bill_id, sum(base) as base, sum(tax) as tax, sum(net) = sum(base) and sum(lines) > 0 and sum(groups) = 1 as fits, 1 as parts,
               0::numeric as bill_net, 0::numeric as bill_tax
        from (
            select bill_id, vat_category as category, vat_rate_ppm as rate_ppm, net_cents as net, 0::bigint as base,
                   0::bigint as tax, 1 as lines, 0 as groups
            from bill_record join added using (bill_id)
            union all
            select bill_id, category, rate_ppm, 0, taxable_amount_cents, tax_amount_cents, 0, 1
            from bill_vat join added using (bill_id)) part
        group by bill_id, category, rate_ppm
        union all
        select bill_id, 0, 0, true, 0, net_cents, tax_cents from bill join added using (bill_id)) sums
    group by bill_id
    having not bool_and(fits) or sum(parts) = 0 or sum(base) <> sum(bill_net) or sum(tax) <> sum(bill_tax)
    limit 1;
    if found then
        raise exception 'the totals of bill % are not those of its records', wrong
            using errcode = 'integrity_constraint_violation', constraint = 'bill_totals';
    end if;
    return null;
end $$;

-- The audit log.
alter table audit drop constraint audit_action;
update audit set action = case action when 'edit' then 'update' else action end,
        kind = case kind when 'bill_manual_line' then 'bill_item' else kind end
    where action = 'edit' or kind = 'bill_manual_line';
alter table audit add constraint audit_action check (action in ('create', 'update', 'delete'));

create or replace function audit_change() returns trigger
    language plpgsql
as $$
declare
    was jsonb := to_jsonb(old) - tg_argv[2:];
    becomes jsonb := to_jsonb(new) - tg_argv[2:];
    object_id text := coalesce(becomes, was) ->> tg_argv[1];
    secret text;
    origin jsonb := nullif(current_setting('uncloud.origin', true), '');
begin
    if tg_op = 'UPDATE' then
        if was = becomes then
            return null;
        end if;
        select jsonb_object_agg(now.key, was -> now.key), jsonb_object_agg(now.key, now.value)
            into was, becomes
            from jsonb_each(becomes) as now where was -> now.key is distinct from now.value;
    end if;
    foreach secret in array audit_secrets() loop
        if was ->> secret is not null then
            was := jsonb_set(was, array[secret], '"[secret]"');
        end if;
        if becomes ->> secret is not null then
            becomes := jsonb_set(becomes, array[secret], '"[secret]"');
        end if;
    end loop;
    insert into audit (user_id, request_id, operation_id, program, action, kind, object_id, before, after)
    values ((origin -> 'user_id')::bigint, origin ->> 'request_id', origin ->> 'operation_id',
        current_setting('application_name'), lower(case tg_op when 'INSERT' then 'create' else tg_op end),
        tg_argv[0], object_id, was, becomes);
    return null;
end
$$;
