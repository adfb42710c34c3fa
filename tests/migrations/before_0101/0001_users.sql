-- Who may ask. A row is made at first login (LDAP) or by `uncloud bootstrap-user`.
create table users (
    user_id bigint generated always as identity primary key,
    -- Lower case, because LDAP compares uids without case: two rows must never be one person.
    username text not null,
    -- Argon2id in PHC form. Null: no local password, so only the directory can vouch for this user.
    password_hash text,
    -- Staff manage pools, products and other people's objects.
    staff boolean not null default false,
    created_at timestamptz not null default now(),

    constraint users_username_key unique (username),
    constraint users_username_form check (username ~ '^[a-z0-9][a-z0-9._@-]{0,63}$'),
    constraint users_password_hash_form check (password_hash like '$argon2id$%')
);
