-- A customer may replace the key of a network, and the order's parameters follow. All others of an order's terms stay final.
drop trigger orders_final on orders;
create trigger orders_final before delete or update of
    user_id, product_id, description, currency, one_time_cents, recurring_cents, period_unit, period_count,
    billing_mode, commitment_periods, upgrade_credit, time_zone, starts_at, replaces, ordered_at, ordered_by
    on orders for each row execute function refuse_change();
create trigger orders_parameters_final before update of parameters on orders
    for each row when (
        old.parameters - 'wireguard_public_key' is distinct from new.parameters - 'wireguard_public_key')
    execute function refuse_change();
