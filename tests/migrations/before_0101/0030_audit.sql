-- Who changed what, and how it was before. Written by triggers, so that no change can be made without its entry and no entry
-- without its change: both are one transaction. Whoever adds a table adds it here or says why not (a test compares).
create table audit (
    audit_id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    -- Who asked; null: nobody, the provider's own work or a command. No key to users: entries outlive them, and a key would
    -- have every change lock its user's row.
    user_id bigint,
    -- The request, as in answers and logs, and its operation in the OpenAPI document.
    request_id text,
    operation_id text,
    -- The program that did it, as it named itself to PostgreSQL: `uncloud serve`, or somebody's psql.
    program text not null,
    action text not null,
    kind text not null,
    object_id text not null,
    -- The row's columns as JSON; of an edit only those that it changed. Secrets are masked.
    before jsonb,
    after jsonb,

    constraint audit_action check (action in ('create', 'edit', 'delete')),
    constraint audit_states check (
        (before is null) = (action = 'create') and (after is null) = (action = 'delete')),
    constraint audit_kind_form check (kind ~ '^[a-z][a-z_]{0,39}$'),
    constraint audit_user_asked check (user_id is null or (request_id is not null and operation_id is not null))
);
create index audit_object on audit (kind, object_id, audit_id);
create index audit_user on audit (user_id, audit_id) where user_id is not null;
-- Entries come in the order of time: some pages' worth of index for any number of them.
create index audit_at on audit using brin (at) with (pages_per_range = 16);

-- Columns that no entry may show. An entry tells that they changed.
create function audit_secrets() returns text[]
    language sql immutable parallel safe
    return array['password_hash', 'private_key', 'next_private_key', 'secret_hash'];

-- Arguments: the object's kind, its key's column, and the columns that change by machine.
-- `uncloud.origin` is set for one transaction by `origin::begin`.
create function audit_change() returns trigger
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
        current_setting('application_name'),
        case tg_op when 'INSERT' then 'create' when 'UPDATE' then 'edit' else 'delete' end,
        tg_argv[0], object_id, was, becomes);
    return null;
end
$$;

-- Has a table's changes noted; to be called again when it gets columns. Edits of columns that change by machine alone do not
-- even begin to cost: the trigger names all others.
create procedure audit_table(target regclass, kind text, key text, variadic by_machine text[] default '{}')
    language plpgsql
as $$
begin
    execute format('create or replace trigger audit after insert or delete or update of %s on %s for each row execute function audit_change(%s)',
        (select string_agg(quote_ident(attname), ', ') from pg_attribute
         where attrelid = target and attnum > 0 and not attisdropped and attgenerated = '' and attname <> all(by_machine)),
        target,
        (select string_agg(quote_literal(argument), ', ' order by place)
         from unnest(array[kind, key] || by_machine) with ordinality as argument (argument, place)));
end
$$;

call audit_table('users', 'user', 'user_id');
call audit_table('vpn_pool', 'vpn_pool', 'pool_id', 'generation', 'applied_generation', 'changed_generation',
    'next_key_generation', 'used', 'next_index', 'traffic_at', 'job_id');
call audit_table('vpn_network', 'vpn_network', 'network_id', 'generation', 'job_id');
call audit_table('job_queue', 'queue', 'queue', 'tokens', 'tokens_at', 'ping_at', 'pinged_at');
call audit_table('schedule', 'schedule', 'schedule_id', 'next_run_at', 'last_due_at', 'last_run_at', 'last_job_id');
-- A run by hand; a tick also moves the due time.
create trigger audit_run after update of last_run_at on schedule
    for each row when (
        old.last_run_at is distinct from new.last_run_at and old.last_due_at is not distinct from new.last_due_at)
    execute function audit_change('schedule', 'schedule_id', 'next_run_at');
call audit_table('seller', 'seller', 'seller_id');
call audit_table('billing_address', 'billing_address', 'address_id');
call audit_table('vat_rate', 'vat_rate', 'territory');
call audit_table('recurring_period', 'recurring_period', 'period_id');
call audit_table('product', 'product', 'product_id');
call audit_table('product_parameter', 'product', 'product_id');
call audit_table('product_price', 'product', 'product_id');
call audit_table('product_parameter_price', 'product', 'product_id');
call audit_table('product_requirement', 'product', 'product_id');
call audit_table('product_component', 'product', 'bundle_id');
call audit_table('orders', 'order', 'order_id', 'billed_through', 'one_time_billed', 'due_at', 'closed');
call audit_table('bill_run', 'bill_run', 'run_id', 'customers_done', 'finished_at');
call audit_table('bill_manual_line', 'bill_manual_line', 'line_id', 'billed');

-- Workers come, report and go by themselves; people only tell them how many jobs to run.
create trigger audit after update of concurrency_wanted on worker
    for each row when (old.concurrency_wanted is distinct from new.concurrency_wanted)
    execute function audit_change('worker', 'worker_id', 'active', 'succeeded', 'failed', 'leases_lost', 'rss_bytes', 'seen_at');
-- So do jobs. What only people do: withdraw one, run an ended one again, let a waiting one go at once.
create trigger audit after update of state, run_at, revoke_requested_at on job
    for each row when (
        old.revoke_requested_at is distinct from new.revoke_requested_at
        or (new.state = 'revoked' and old.state <> 'revoked')
        or (old.finished_at is not null and old.state <> new.state)
        or (old.state = 'queued' and new.state = 'queued' and new.run_at < old.run_at))
    execute function audit_change('job', 'job_id');
-- A run for everybody begins in a worker, which nobody asked; who wanted it asked for the job.
create trigger audit_asked after insert on job
    for each row when (new.kind = 'bill_run') execute function audit_change('job', 'job_id');
