-- The audit log: each change that a person decides, by whom, and the state before it. Triggers write it, so a change and its
-- entry are one transaction: neither exists without the other. The migration that creates a table calls `audit_table` for it;
-- a test lists the tables that are not audited, each with the reason.
create table audit (
    audit_id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    -- The user who sent the request. Null: the provider's own work, or a command. Not a foreign key: entries outlive users, and
    -- a foreign key would make each change lock the row of its user.
    user_id bigint,
    -- The request's id, as in responses and logs, and its operation in the OpenAPI document.
    request_id text,
    operation_id text,
    -- The program that made the change, by its `application_name`: `uncloud serve`, or an operator's psql.
    program text not null,
    action text not null,
    -- The kind of the object, as the API calls it, and its key.
    kind text not null,
    object_id text not null,
    -- The row's columns as JSON; after an edit only the columns that it changed. Secrets are masked.
    before jsonb,
    after jsonb,

    constraint audit_action check (action in ('create', 'edit', 'delete')),
    constraint audit_states check (
        (before is null) = (action = 'create') and (after is null) = (action = 'delete')),
    constraint audit_kind_form check (kind ~ '^[a-z][a-z_]{0,39}$'),
    -- Users change things by requests only.
    constraint audit_user_asked check (user_id is null or (request_id is not null and operation_id is not null))
);
-- The history of one object, and the changes of one user.
create index audit_object on audit (kind, object_id, audit_id);
create index audit_user on audit (user_id, audit_id) where user_id is not null;
-- For searches by time. Entries are written in the order of time, so a block range index does: it stays a few pages long.
create index audit_at on audit using brin (at) with (pages_per_range = 16);

-- The columns whose values no entry may contain. An entry still says that they changed.
create function audit_secrets() returns text[]
    language sql immutable parallel safe
    return array['password_hash', 'private_key', 'next_private_key', 'secret_hash'];

-- Writes the entry of one changed row. Arguments: the kind of the object, the column of its key, and the columns that
-- machines change. The setting `uncloud.origin` says who sent the request; the server sets it for one transaction.
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

-- Audits the changes of a table. A migration that adds a column calls it again. The trigger names all columns but those that
-- machines change, so that updates of the latter do not even start it.
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
