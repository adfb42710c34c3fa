-- Pools that move, keys that rotate, networks that are counted and watched.

-- Networks a customer may have; staff change it per user and are not limited themselves.
alter table users
    add column vpn_quota integer not null default 8,
    add constraint users_vpn_quota check (vpn_quota >= 0);

alter table vpn_pool
    -- The generation of the last change that concerns every network of the pool: its host or port.
    add column changed_generation bigint not null default 0,
    -- A new key of the host. Customers are told of it when the host has confirmed next_key_generation; until
    -- then the old one stays in force here, because it is what their tunnels still reach.
    add column next_private_key bytea,
    add column next_private_key_key_id text,
    add column next_public_key bytea,
    add column next_key_generation bigint,
    -- When the host last reported its traffic.
    add column traffic_at timestamptz,
    add constraint vpn_pool_changed_generation check (changed_generation between 0 and generation),
    add constraint vpn_pool_next_key check (
        num_nonnulls(next_private_key, next_private_key_key_id, next_public_key, next_key_generation) in (0, 4)
        and next_key_generation <= generation
        and octet_length(next_public_key) = 32);

-- Hosts that a pool has moved away from and that still have to remove its interface. No key to vpn_pool: the
-- interface has to go even when the pool is gone before.
create table vpn_pool_departure (
    pool_id bigint not null,
    vpn_hostname text not null,
    -- Newer than all that the host has of this pool, so that it does not take the removal for a stale job.
    generation bigint not null,
    primary key (pool_id, vpn_hostname),
    constraint vpn_pool_departure_generation check (generation > 0)
);

-- What a host reported of each peer. A table of its own: it changes often, and networks rarely do.
create table vpn_network_traffic (
    network_id bigint primary key references vpn_network on delete cascade,
    -- Null: never since the interface came up.
    last_handshake_at timestamptz,
    received_bytes bigint not null,
    sent_bytes bigint not null,
    constraint vpn_network_traffic_bytes check (received_bytes >= 0 and sent_bytes >= 0)
) with (fillfactor = 70);

-- When a worker last asked a queue for work, noted while jobs wait for it.
create table worker_seen (
    queue text primary key,
    seen_at timestamptz not null
);

-- Why a dispatched job does not come back, as a sentence for people; null while its worker is there.
create function worker_silence(asked_queue text, state text, dispatched_at timestamptz) returns text
    language sql stable
    return case
        when state in ('dispatched', 'running') and dispatched_at < now() - interval '10 seconds' and not exists (
            select from worker_seen where queue = asked_queue and seen_at > now() - interval '15 seconds')
        then 'no worker has been seen on queue ' || asked_queue || coalesce(
                ' since ' || (select to_char(seen_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
                              from worker_seen where queue = asked_queue), '')
            || '; start `uncloud-worker --queue ' || asked_queue || '`'
    end;
