-- What the review of the API found in the tables.

-- A new password, of whoever set it, ends what the old one has granted: tokens that may be stolen too.
create function password_revokes_tokens() returns trigger language plpgsql as $$
begin
    delete from token where user_id = new.user_id;
    return null;
end $$;
create trigger users_password_revokes_tokens after update of password_hash on users
    for each row when (old.password_hash is distinct from new.password_hash) execute function password_revokes_tokens();

-- A reader of the audit log who goes on from the last entry that it has seen must not step over one with a smaller number whose
-- transaction commits later. So each transaction that writes entries holds, from before its first number, a lock that names the
-- last number until then; readers leave out what follows the smallest of these.
create function audit_lock() returns integer language sql immutable parallel safe return 1635084400; -- used for nothing else
create function audit_hold_place() returns trigger language plpgsql as $$
begin
    if coalesce(current_setting('uncloud.audited', true), '') = '' then
        perform set_config('uncloud.audited', 'yes', true);
        perform pg_advisory_xact_lock_shared(audit_lock(), (last_value % 2147483647)::integer) from audit_audit_id_seq;
    end if;
    return null;
end $$;
-- Before the statement, and so before it takes a number.
create trigger audit_hold_place before insert on audit for each statement execute function audit_hold_place();
-- The number up to which no entry is still to come, for a later statement. Numbers first, then locks: who takes a number in
-- between has taken its lock before.
create function audit_complete_to() returns bigint language plpgsql as $$
declare
    complete bigint := (select last_value from audit_audit_id_seq);
begin
    return least(complete, (
        select min(objid::bigint) from pg_locks
        where locktype = 'advisory' and classid::bigint = audit_lock() and objsubid = 2
            and database = (select oid from pg_database where datname = current_database())));
end $$;

-- The directory's own identifier of a user's entry (entryUUID, objectGUID): whoever gets the user name of somebody who has left
-- is another person.
alter table users add column directory_id text,
    add constraint users_directory_id_form check (directory_id ~ '^[0-9a-zA-Z-]+$' and length(directory_id) <= 100);
call audit_table('users', 'user', 'user_id');
