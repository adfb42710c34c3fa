-- Requests that may be sent again: the answer to each Idempotency-Key, kept for a day.
create sequence idempotency_attempt;
create table idempotency (
    user_id bigint not null references users on delete cascade,
    key text not null,
    -- SHA-256 of method, address and body: the same key with another request is a mistake.
    request_hash bytea not null,
    -- Whose turn it is. A server may die; who comes after it takes over, and what the first one still tries is refused.
    attempt bigint not null default nextval('idempotency_attempt'),
    claimed_at timestamptz not null default now(),
    -- Set in the transaction of the change itself. Then nobody takes over: it must not be made twice.
    changed boolean not null default false,
    -- The answer; null: not known yet. Encrypted, for it may hold what is shown once.
    status smallint,
    location text,
    content_type text,
    body bytea,
    body_key_id text,
    created_at timestamptz not null default now(),
    primary key (user_id, key),

    constraint idempotency_key_form check (key ~ '^[!-~]{1,255}$'),
    constraint idempotency_request_hash_length check (octet_length(request_hash) = 32),
    constraint idempotency_answer check (
        num_nonnulls(status, body, body_key_id) in (0, 3) and status between 200 and 499
        and (status is not null or num_nonnulls(location, content_type) = 0))
) with (fillfactor = 50); -- each is updated twice
create index idempotency_created on idempotency (created_at);

-- Called first in each transaction of a request with a key.
create function idempotency_changed(of_user bigint, of_key text, of_attempt bigint) returns void
    language plpgsql
as $$
begin
    update idempotency set changed = true where user_id = of_user and key = of_key and attempt = of_attempt;
    if not found then
        raise exception 'another attempt has taken over this request' using errcode = 'serialization_failure';
    end if;
end $$;
