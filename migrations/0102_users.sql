-- Users. The first login (LDAP) or `uncloud bootstrap-user` creates the row.
create table users (
    user_id bigint generated always as identity primary key,
    -- Lowercase, because LDAP compares uids without case: two rows must never be the same person.
    username text not null,
    -- Argon2id in PHC form. Null: no local password, so only the directory can authenticate this user.
    password_hash text,
    -- Staff manage pools, products and the objects of all users. Two columns, because the right that the directory's staff group
    -- gives ends at the first login without that group, while the one that `bootstrap-user --staff` gives stays whatever
    -- groups there are. One column could not tell them apart.
    staff_by_hand boolean not null default false,
    created_at timestamptz not null default now(),
    -- The number of VPN networks that a customer may have. Staff change it per user and are not limited themselves.
    vpn_quota integer not null default 8,
    staff_by_directory boolean not null default false,
    -- The column that all code reads, so that none of it can forget one of the two.
    staff boolean not null generated always as (staff_by_hand or staff_by_directory) stored,
    -- Locked out by staff. The directory's own locks apply as well.
    locked boolean not null default false,

    constraint users_username_key unique (username),
    constraint users_username_form check (username ~ '^[a-z0-9][a-z0-9._@-]{0,63}$'),
    constraint users_password_hash_form check (password_hash like '$argon2id$%'),
    constraint users_vpn_quota check (vpn_quota >= 0),
    -- The server does not query the directory for users with a local password, so a right from there would never end.
    constraint users_directory_or_password check (password_hash is null or not staff_by_directory)
);
call audit_table('users', 'user', 'user_id');

-- Bearer tokens: credentials of programs, in place of a password. The secret is returned once, on creation.
create table token (
    token_id bigint generated always as identity primary key,
    user_id bigint not null references users on delete cascade,
    -- The user's name for it.
    name text not null,
    -- SHA-256 of the secret. A plain hash is enough: nobody guesses 256 random bits.
    secret_hash bytea not null,
    -- The first characters of the secret, by which a user recognises it.
    prefix text not null,
    scopes text[] not null,
    expires_at timestamptz not null,
    -- Written once a minute at most.
    last_used_at timestamptz,
    created_at timestamptz not null default now(),

    -- Tokens are found by this hash; the time that the search takes says nothing about the secret.
    constraint token_secret_hash_key unique (secret_hash),
    constraint token_secret_hash_length check (octet_length(secret_hash) = 32),
    constraint token_name_form check (name ~ '^[^[:cntrl:]]{1,100}$'),
    constraint token_prefix_form check (prefix ~ '^unc_[A-Za-z0-9_-]{8}$'),
    constraint token_scopes check (scopes <@ array['read', 'write', 'staff'] and cardinality(scopes) between 1 and 3),
    -- A forgotten token stops working within a year.
    constraint token_expiry check (expires_at > created_at and expires_at <= created_at + interval '366 days')
);
-- A user's list, and the clean-up of expired tokens.
create index token_user on token (user_id, token_id);
create index token_expired on token (expires_at);
call audit_table('token', 'token', 'token_id', 'last_used_at');
