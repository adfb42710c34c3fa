-- A pool: an aligned prefix that one VPN host serves. A network: the sub-prefix of one customer's peer.
create table vpn_pool (
    pool_id bigint generated always as identity primary key,
    network cidr not null,
    -- Prefix length of the networks that customers get.
    subnetwork_size smallint not null,
    -- Networks that fit: all sub-prefixes but the first, which is the server's own.
    capacity integer not null generated always as ((1 << (subnetwork_size - masklen(network))) - 1) stored,
    -- FQDN of the host: at once the queue of its worker and the endpoint in the customers' configuration.
    vpn_hostname text not null,
    listen_port integer not null default 51820,
    -- The server's private key, encrypted under the key that key_id names (UNCLOUD_SECRET_KEY).
    private_key bytea not null,
    private_key_key_id text not null,
    public_key bytea not null,
    -- Raised with every change of the pool or one of its networks; the host never goes back to a lower one.
    generation bigint not null,
    -- What the host last confirmed.
    applied_generation bigint not null default 0,
    -- Sub-prefixes that are taken, being deleted among them.
    used integer not null default 0,
    -- Sub-prefixes below this index were handed out at least once; freed ones are in vpn_free_prefix.
    next_index integer not null default 1,
    -- Set: to be removed from its host, then from here.
    deleting boolean not null default false,
    -- The job that carries the last change of the pool itself.
    job_id bigint references job on delete set null,
    created_at timestamptz not null default now(),

    -- Two hosts announcing one address would take turns in receiving its packets.
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
    constraint vpn_pool_used check (used between 0 and capacity and used < next_index and next_index between 1 and capacity + 1)
);
-- The choice of a pool for a request: lowest id of that size with room.
create index vpn_pool_with_room on vpn_pool (subnetwork_size, pool_id) where used < capacity and not deleting;

create table vpn_network (
    network_id bigint generated always as identity primary key,
    user_id bigint not null references users,
    pool_id bigint not null,
    -- Repeated from the pool so that plain checks can compare with it; the foreign key keeps them equal.
    pool_network cidr not null,
    subnetwork_size smallint not null,
    network cidr not null,
    public_key bytea not null,
    -- The pool's generation that first carries this row as it is now.
    generation bigint not null,
    -- Set: to be removed from the host. The row, and with it the prefix, stays until the host has confirmed.
    deleting boolean not null default false,
    job_id bigint references job on delete set null,
    created_at timestamptz not null default now(),

    constraint vpn_network_pool_fkey foreign key (pool_id, pool_network, subnetwork_size)
        references vpn_pool (pool_id, network, subnetwork_size),
    -- WireGuard would silently hand a prefix named twice to the peer named last.
    constraint vpn_network_network_overlap exclude using gist (network inet_ops with &&),
    constraint vpn_network_inside_pool check (network << pool_network),
    constraint vpn_network_size check (masklen(network) = subnetwork_size),
    -- The first sub-prefix is the server's own.
    constraint vpn_network_not_the_servers check (host(network) <> host(pool_network)),
    constraint vpn_network_public_key_length check (octet_length(public_key) = 32)
);
-- One key is one peer: named twice in an interface, the last allowed IPs win. A network that is being deleted
-- is no longer in the desired state, so its key may come back at once.
create unique index vpn_network_public_key_key on vpn_network (pool_id, public_key) where not deleting;
create index vpn_network_user on vpn_network (user_id, network_id);
create index vpn_network_deleting on vpn_network (pool_id, generation) where deleting;

-- Sub-prefixes that were used and whose host has confirmed a generation without them.
create table vpn_free_prefix (
    pool_id bigint not null references vpn_pool on delete cascade,
    index integer not null,
    primary key (pool_id, index),
    constraint vpn_free_prefix_index check (index >= 1)
);

-- The generation after `current`. Never below the microseconds since 1970, so that after a restore from backup
-- new states still win over what a host has applied.
create function next_generation(current bigint) returns bigint
    language sql volatile
    return greatest(current + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
