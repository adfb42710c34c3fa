-- Requests that may be repeated: the response to each Idempotency-Key, kept for a day.

-- Numbers the attempts at all requests.
create sequence idempotency_attempt;

create table idempotency (
    user_id bigint not null references users on delete cascade,
    key text not null,
    -- SHA-256 of method, address and body: another request with the same key is a mistake.
    request_hash bytea not null,
    -- The attempt that may make the change. A server may die; the attempt that then takes over writes its own number here, and
    -- what the first one still tries is refused.
    attempt bigint not null default nextval('idempotency_attempt'),
    claimed_at timestamptz not null default now(),
    -- Set in the transaction of the change itself. From then on no attempt takes over: the change must not be made twice.
    changed boolean not null default false,
    -- The response; null: not known yet. Encrypted, because it may contain a secret that is shown once.
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
) with (fillfactor = 50); -- each row is updated twice
create index idempotency_created on idempotency (created_at);

-- Marks the change as made, or fails if another attempt has taken over. Called first in each transaction of a request with a key.
create function idempotency_changed(of_user bigint, of_key text, of_attempt bigint) returns void
    language plpgsql
as $$
begin
    update idempotency set changed = true where user_id = of_user and key = of_key and attempt = of_attempt;
    if not found then
        raise exception 'another attempt has taken over this request' using errcode = 'serialization_failure';
    end if;
end $$;
