-- Bearer tokens: how programs sign in without a password. The secret itself is shown once and not kept.
create table token (
    token_id bigint generated always as identity primary key,
    user_id bigint not null references users on delete cascade,
    -- What the user calls it.
    name text not null,
    -- SHA-256 of the secret. A plain hash will do: with 256 random bits there is nothing to guess.
    secret_hash bytea not null,
    -- How the secret begins, for recognising it.
    prefix text not null,
    scopes text[] not null,
    expires_at timestamptz not null,
    -- Written once a minute at most.
    last_used_at timestamptz,
    created_at timestamptz not null default now(),

    -- The way to it: a look-up by hash tells by its time nothing about the secret.
    constraint token_secret_hash_key unique (secret_hash),
    constraint token_secret_hash_length check (octet_length(secret_hash) = 32),
    constraint token_name_form check (name ~ '^[^[:cntrl:]]{1,100}$'),
    constraint token_prefix_form check (prefix ~ '^unc_[A-Za-z0-9_-]{8}$'),
    constraint token_scopes check (scopes <@ array['read', 'write', 'staff'] and cardinality(scopes) between 1 and 3),
    constraint token_expiry check (expires_at > created_at and expires_at <= created_at + interval '366 days')
);
create index token_user on token (user_id, token_id);
create index token_expired on token (expires_at);
call audit_table('token', 'token', 'token_id', 'last_used_at');
