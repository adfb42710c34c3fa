-- VPN pools and networks. A pool is an aligned prefix that one VPN host serves; a network is the sub-prefix of one peer.
create table vpn_pool (
    pool_id bigint generated always as identity primary key,
    network cidr not null,
    -- The prefix length of the networks that customers get.
    subnetwork_size smallint not null,
    -- The number of networks that fit: all sub-prefixes but the first, which is the server's own.
    capacity integer not null generated always as ((1 << (subnetwork_size - masklen(network))) - 1) stored,
    -- The FQDN of the host: the queue of its worker, and the endpoint in the customers' configuration.
    vpn_hostname text not null,
    listen_port integer not null default 51820,
    -- The server's private key, encrypted with the key that private_key_key_id names (UNCLOUD_SECRET_KEY).
    private_key bytea not null,
    private_key_key_id text not null,
    public_key bytea not null,
    -- Rises with each change of the pool or of one of its networks; the host never goes back to a lower one.
    generation bigint not null,
    -- The generation that the host last confirmed.
    applied_generation bigint not null default 0,
    -- The number of sub-prefixes that are taken, including those of networks that are being deleted.
    used integer not null default 0,
    -- Sub-prefixes below this index have been allocated at least once; the freed ones are in vpn_free_prefix.
    next_index integer not null default 1,
    -- Set: to be removed from its host, then from this table.
    deleting boolean not null default false,
    -- The job that carries the last change of the pool itself.
    job_id bigint references job on delete set null,
    created_at timestamptz not null default now(),
    -- The generation of the last change of host or port, which concerns every network of the pool.
    changed_generation bigint not null default 0,
    -- A new key of the host. Until the host has confirmed next_key_generation, the API shows the old key, because the
    -- customers' tunnels still use it.
    next_private_key bytea,
    next_private_key_key_id text,
    next_public_key bytea,
    next_key_generation bigint,
    -- When the host last reported its traffic.
    traffic_at timestamptz,

    -- Two hosts that announce the same address would receive its packets in turns.
    constraint vpn_pool_network_overlap exclude using gist (network inet_ops with &&),
    constraint vpn_pool_host_port_key unique (vpn_hostname, listen_port),
    -- The target of vpn_network's composite key, which keeps networks inside their pool.
    constraint vpn_pool_shape_key unique (pool_id, network, subnetwork_size),
    constraint vpn_pool_subnetwork_size check (
        subnetwork_size > masklen(network)
        and subnetwork_size - masklen(network) <= 30 -- capacity is an integer
        and subnetwork_size <= case family(network) when 4 then 32 else 128 end),
    constraint vpn_pool_vpn_hostname_form check (vpn_hostname ~
        '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' and length(vpn_hostname) <= 253),
    constraint vpn_pool_listen_port check (listen_port between 1 and 65535),
    constraint vpn_pool_public_key_length check (octet_length(public_key) = 32),
    constraint vpn_pool_generation check (generation > 0 and applied_generation between 0 and generation),
    constraint vpn_pool_used check (used between 0 and capacity and used < next_index and next_index between 1 and capacity + 1),
    constraint vpn_pool_changed_generation check (changed_generation between 0 and generation),
    constraint vpn_pool_next_key check (
        num_nonnulls(next_private_key, next_private_key_key_id, next_public_key, next_key_generation) in (0, 4)
        and next_key_generation <= generation
        and octet_length(next_public_key) = 32)
) with (fillfactor = 30);
-- A pool's row changes with each of its networks. With room on the page (the fillfactor) and no index on a column that such a
-- change touches, that is an update in place; otherwise each change writes all index entries of the row and compares the
-- prefix with all overlapping ones, including dead versions of the row. So `used < capacity` is not a condition of the index
-- that finds a pool for a request (the lowest id of the size that has room): pools are few, and full ones are skipped.
create index vpn_pool_of_size on vpn_pool (subnetwork_size, pool_id) where not deleting;
-- For the deletion of a job. Changes only with a new job of the pool itself.
create index vpn_pool_job on vpn_pool (job_id) where job_id is not null;
call audit_table('vpn_pool', 'vpn_pool', 'pool_id', 'generation', 'applied_generation', 'changed_generation',
    'next_key_generation', 'used', 'next_index', 'traffic_at', 'job_id');

create table vpn_network (
    network_id bigint generated always as identity primary key,
    user_id bigint not null references users,
    pool_id bigint not null,
    -- Copies of the pool's columns, so that simple checks can compare with them; the foreign key keeps them equal.
    pool_network cidr not null,
    subnetwork_size smallint not null,
    network cidr not null,
    public_key bytea not null,
    -- The first generation of the pool that contains this row as it is now.
    generation bigint not null,
    -- Set: to be removed from the host. The row, and with it the prefix, stays until the host has confirmed.
    deleting boolean not null default false,
    job_id bigint references job on delete set null,
    created_at timestamptz not null default now(),
    -- The order that the network delivers: each network is ordered and ends by its order.
    order_id bigint not null,

    constraint vpn_network_pool_fkey foreign key (pool_id, pool_network, subnetwork_size)
        references vpn_pool (pool_id, network, subnetwork_size),
    -- WireGuard silently gives a prefix that two peers name to the peer named last.
    constraint vpn_network_network_overlap exclude using gist (network inet_ops with &&),
    constraint vpn_network_inside_pool check (network << pool_network),
    constraint vpn_network_size check (masklen(network) = subnetwork_size),
    -- The first sub-prefix is the server's own.
    constraint vpn_network_not_the_servers check (host(network) <> host(pool_network)),
    constraint vpn_network_public_key_length check (octet_length(public_key) = 32),
    constraint vpn_network_order_key unique (order_id),
    constraint vpn_network_order_fkey foreign key (order_id) references orders
);
-- A key is one peer: of an interface that names it twice, the last allowed IPs win. A network that is being deleted is no
-- longer part of the desired state, so its key may be used again at once.
create unique index vpn_network_public_key_key on vpn_network (pool_id, public_key) where not deleting;
create index vpn_network_user on vpn_network (user_id, network_id);
create index vpn_network_deleting on vpn_network (pool_id, generation) where deleting;
-- For the deletion of a job. Changes only with a new job of the network itself.
create index vpn_network_job on vpn_network (job_id) where job_id is not null;
call audit_table('vpn_network', 'vpn_network', 'network_id', 'generation', 'job_id');

-- Sub-prefixes that were used and whose host has confirmed a generation without them.
create table vpn_free_prefix (
    pool_id bigint not null references vpn_pool on delete cascade,
    index integer not null,
    primary key (pool_id, index),
    constraint vpn_free_prefix_index check (index >= 1)
);

-- Hosts that a pool has left and that still have to remove its interface. Not a foreign key to vpn_pool: the interface must go
-- even if the pool is deleted first.
create table vpn_pool_departure (
    pool_id bigint not null,
    vpn_hostname text not null,
    -- Newer than all that the host has of this pool, so that the host does not take the removal for an outdated job.
    generation bigint not null,
    primary key (pool_id, vpn_hostname),
    constraint vpn_pool_departure_generation check (generation > 0)
);

-- The traffic of each peer as its host reported it. A table of its own: it changes often, and networks rarely do.
create table vpn_network_traffic (
    network_id bigint primary key references vpn_network on delete cascade,
    -- Null: never since the interface came up.
    last_handshake_at timestamptz,
    received_bytes bigint not null,
    sent_bytes bigint not null,
    constraint vpn_network_traffic_bytes check (received_bytes >= 0 and sent_bytes >= 0)
) with (fillfactor = 70);

-- Returns the generation after `current`. Never below the microseconds since 1970, so that after a restore from a backup new
-- states still win over those that a host has applied.
create function next_generation(current bigint) returns bigint
    language sql volatile
    return greatest(current + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
