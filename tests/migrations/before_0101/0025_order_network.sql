-- A VPN network is what an order delivers: one story from ordering to the end.
alter table vpn_network
    add column order_id bigint,
    add constraint vpn_network_order_key unique (order_id),
    add constraint vpn_network_order_fkey foreign key (order_id) references orders;

-- Networks that were there before were free of charge; each gets the order that it would have had.
do $$
declare
    network record;
    placed bigint;
begin
    for network in select * from vpn_network order by network_id loop
        insert into orders (user_id, description, parameters, currency, one_time_cents, recurring_cents, period_unit,
            period_count, billing, commitment_periods, time_zone, starts_at, ordered_at, ordered_by, billing_ends_at, closed,
            deliver_at, delivered_at, withdraw_at, withdrawn_at)
        select network.user_id, 'VPN network',
            jsonb_build_object('network_size', masklen(network.network), 'wireguard_public_key', encode(network.public_key, 'base64')),
            'CHF', 0, 0, 'day', 30, 'advance', 0, 'UTC', began, began, network.user_id, ended, true, began, began, ended, ended
        from (select date_trunc('second', network.created_at) as began,
                     case when network.deleting then greatest(date_trunc('second', now()), date_trunc('second', network.created_at)) end as ended) life
        returning order_id into placed;
        update vpn_network set order_id = placed where network_id = network.network_id;
    end loop;
end $$;

alter table vpn_network alter column order_id set not null;
