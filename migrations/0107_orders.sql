-- Orders. The terms are copied from the catalogue and final; a change is a new order that replaces the old one.
create table orders (
    order_id bigint generated always as identity primary key,
    user_id bigint not null references users,
    -- Null: agreed with staff, without a product of the catalogue.
    product_id bigint references product,
    -- The text of the order's lines in bills.
    description text not null,
    parameters jsonb not null default '{}',
    currency text not null,
    one_time_cents bigint not null,
    recurring_cents bigint not null,
    -- Null: paid once.
    period_unit text,
    period_count integer,
    -- Whether a period is billed when it begins or when it has ended.
    billing text not null,
    commitment_periods integer not null,
    -- The effect of an upgrade on the time that is already paid: 'prorate' credits it, 'none' lets it run out.
    upgrade_credit text not null default 'prorate',
    -- The seller's time zone at the time of the order: the boundaries of its periods stay when the seller moves.
    time_zone text not null,
    starts_at timestamptz(0) not null,
    replaces bigint references orders,
    ordered_at timestamptz(0) not null,
    ordered_by bigint references users,

    -- The first second that is not billed. Null: the order goes on.
    billing_ends_at timestamptz(0),
    -- The order never took effect: nothing is due.
    void boolean not null default false,
    -- Charges less credits cover [starts_at, billed_through). The only cursor; null: nothing is billed yet.
    billed_through timestamptz(0),
    one_time_billed boolean not null default false,
    -- From this time on a bill run has something to bill. Computed with each change of the columns above.
    due_at timestamptz(0),
    -- Nothing more is to be billed, so bill runs never read the order again. Not just `due_at is null`: an index whose condition
    -- names a column that each run changes would make each run write all index entries of the row anew.
    closed boolean not null default false,

    -- When the service is to start or change as ordered, and when it is to end: the customer's choice until it is done.
    deliver_at timestamptz(0) not null,
    delivered_at timestamptz(0),
    delivered_by bigint references users,
    withdraw_at timestamptz(0),
    withdrawn_at timestamptz(0),
    withdrawn_by bigint references users,

    -- The target of the bill records' key: the first record begins when the order does.
    constraint orders_start_key unique (order_id, starts_at),
    -- The target of the next key: an order replaces only an order of the same customer in the same currency.
    constraint orders_customer_key unique (order_id, user_id, currency),
    constraint orders_replaces_customer_fkey foreign key (replaces, user_id, currency)
        references orders (order_id, user_id, currency),
    constraint orders_currency_form check (currency ~ '^[A-Z]{3}$'),
    constraint orders_description_form check (length(description) between 1 and 500),
    constraint orders_not_negative check (one_time_cents >= 0 and recurring_cents >= 0 and commitment_periods >= 0),
    constraint orders_period check (
        (period_unit is null) = (period_count is null) and period_unit in ('hour', 'day', 'month', 'year')
        and period_count between 1 and 9999 and (period_unit is not null or (recurring_cents = 0 and commitment_periods = 0))),
    constraint orders_billing check (billing in ('advance', 'arrears')),
    constraint orders_upgrade_credit check (upgrade_credit in ('prorate', 'none')),
    constraint orders_replaces_other check (replaces <> order_id),
    constraint orders_end check (billing_ends_at >= starts_at),
    constraint orders_void check (not void or (billing_ends_at is not null and billing_ends_at = starts_at)),
    constraint orders_billed check (billed_through >= starts_at),
    constraint orders_closed check (closed = (due_at is null)),
    constraint orders_delivery check (
        (delivered_at is not null or delivered_by is null) and (withdrawn_at is not null or withdrawn_by is null)
        and (withdrawn_at is null or withdraw_at is not null))
) with (fillfactor = 50); -- a bill run moves the cursor of each order: room for the new version on the same page

-- At most one order that took effect replaces another one.
create unique index orders_replaces_key on orders (replaces) where not void;
create index orders_user on orders (user_id, order_id);
-- The orders that bill runs read, however much history there is.
create index orders_open on orders (user_id) where not closed;
-- The orders that wait for staff or a host.
create index orders_to_deliver on orders (deliver_at, order_id) where delivered_at is null and not void;
create index orders_to_withdraw on orders (withdraw_at, order_id) where withdraw_at is not null and withdrawn_at is null;
-- Leads from an order to all orders that were to replace it, void ones too: an order is shown with its whole line.
create index orders_replaced on orders (replaces) where replaces is not null;

create trigger orders_final before delete or update of
    user_id, product_id, description, parameters, currency, one_time_cents, recurring_cents, period_unit, period_count,
    billing, commitment_periods, upgrade_credit, time_zone, starts_at, replaces, ordered_at, ordered_by
    on orders for each row execute function refuse_change();
-- Row triggers do not fire on `truncate`.
create trigger orders_kept before truncate on orders for each statement execute function refuse_change();
call audit_table('orders', 'order', 'order_id', 'billed_through', 'one_time_billed', 'due_at', 'closed');

-- The components of an order's price.
create table order_part (
    order_id bigint not null references orders,
    position smallint not null,
    product_id bigint not null references product,
    -- Null: the product itself.
    parameter text,
    quantity integer not null,
    -- For a quantity of one.
    one_time_cents bigint not null,
    recurring_cents bigint not null,
    primary key (order_id, position),
    constraint order_part_not_negative check (quantity >= 0 and one_time_cents >= 0 and recurring_cents >= 0)
);
-- Final and written together with their order, whose entry in the audit log stands for them.
create trigger order_part_final before update or delete on order_part for each row execute function refuse_change();
create trigger order_part_kept before truncate on order_part for each statement execute function refuse_change();

-- Refuses parts whose sum is not the price of their order.
create function order_parts_add_up() returns trigger language plpgsql as $$
begin
    if exists (
        select from orders
        join (select order_id, sum(quantity * one_time_cents) as one_time, sum(quantity * recurring_cents) as recurring
              from order_part where order_id = new.order_id group by order_id) part using (order_id)
        where one_time <> one_time_cents or recurring <> recurring_cents)
    then
        raise exception 'the parts of order % do not add up to its price', new.order_id
            using errcode = 'integrity_constraint_violation', constraint = 'order_part_sum';
    end if;
    return null;
end $$;
create constraint trigger order_part_sum after insert on order_part
    deferrable initially deferred for each row execute function order_parts_add_up();
