-- What can be bought. Orders copy what they need, so staff may change all of this at any time.

create table recurring_period (
    period_id bigint generated always as identity primary key,
    unit text not null,
    count integer not null,
    constraint recurring_period_unit check (unit in ('hour', 'day', 'month', 'year')),
    constraint recurring_period_count check (count between 1 and 1000),
    constraint recurring_period_key unique (unit, count)
);

create table product (
    product_id bigint generated always as identity primary key,
    -- Its name for programs, as in ipv6-vm.
    name text not null,
    title text not null,
    description text not null,
    -- Who realises an order: the VPN hosts, or staff by hand.
    delivery text not null,
    -- Whether a period is billed when it begins or when it has ended.
    billing text not null default 'advance',
    -- Consists of others.
    bundle boolean not null default false,
    -- Whole seconds, as the starts of orders are.
    sale_from timestamptz not null default date_trunc('second', now()),
    sale_until timestamptz,
    created_at timestamptz not null default now(),
    constraint product_name_key unique (name),
    -- The target of the components' keys.
    constraint product_bundle_key unique (product_id, bundle),
    constraint product_name_form check (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    constraint product_title_form check (length(title) between 1 and 200),
    constraint product_delivery check (delivery in ('vpn_network', 'by_hand')),
    constraint product_billing check (billing in ('advance', 'arrears')),
    constraint product_sale check (sale_until > sale_from)
);
-- Orders name products, and `uncloud db-add-defaults` knows by the name what it has added: nothing to be deleted or
-- renamed, only taken off sale.
create trigger product_final before delete or update of name on product for each row execute function refuse_change();

-- What the customer chooses: so many cores, so many GB.
create table product_parameter (
    product_id bigint not null references product on delete cascade,
    name text not null,
    unit text not null,
    minimum integer not null,
    maximum integer not null,
    step integer not null default 1,
    primary key (product_id, name),
    constraint product_parameter_name_form check (name ~ '^[a-z][a-z0-9_]{0,39}$'),
    -- The maximum is such that a hundred of a bundle's component still have a quantity that fits.
    constraint product_parameter_bounds check (minimum >= 0 and minimum <= maximum and maximum <= 1000000 and step >= 1),
    constraint product_parameter_step check ((maximum - minimum) % step = 0)
);

-- One for each period and currency that the product is sold in. Without a period: paid once.
create table product_price (
    price_id bigint generated always as identity primary key,
    product_id bigint not null references product on delete cascade,
    period_id bigint references recurring_period,
    currency text not null,
    one_time_cents bigint not null default 0,
    recurring_cents bigint not null default 0,
    -- Periods that can't be cancelled.
    commitment_periods integer not null default 1,
    constraint product_price_key unique nulls not distinct (product_id, period_id, currency),
    constraint product_price_product_key unique (price_id, product_id),
    constraint product_price_currency_form check (currency ~ '^[A-Z]{3}$'),
    constraint product_price_not_negative check (one_time_cents >= 0 and recurring_cents >= 0),
    constraint product_price_once check (period_id is not null or (recurring_cents = 0 and commitment_periods = 0)),
    constraint product_price_commitment check (commitment_periods between 0 and 1000)
);

-- What one unit of a parameter costs besides.
create table product_parameter_price (
    price_id bigint not null,
    product_id bigint not null,
    parameter text not null,
    one_time_cents bigint not null default 0,
    recurring_cents bigint not null default 0,
    primary key (price_id, parameter),
    constraint product_parameter_price_price_fkey foreign key (price_id, product_id)
        references product_price (price_id, product_id) on delete cascade,
    constraint product_parameter_price_parameter_fkey foreign key (product_id, parameter)
        references product_parameter (product_id, name) on delete cascade,
    constraint product_parameter_price_not_negative check (one_time_cents >= 0 and recurring_cents >= 0)
);

-- An IPv4 address needs a VM: what the customer must have, or order along.
create table product_requirement (
    product_id bigint not null references product on delete cascade,
    required_id bigint not null references product,
    primary key (product_id, required_id),
    constraint product_requirement_other check (required_id <> product_id)
);

-- A bundle is sold as one product and consists of others: dual-stack VM = VM + IPv4 + SSD. Its price is its own and
-- those of its components.
create table product_component (
    bundle_id bigint not null,
    component_id bigint not null,
    quantity integer not null default 1,
    -- What is true of the two, so that the keys below refuse a bundle in a bundle.
    bundle_is_bundle boolean not null generated always as (true) stored,
    component_is_bundle boolean not null generated always as (false) stored,
    primary key (bundle_id, component_id),
    constraint product_component_bundle_fkey foreign key (bundle_id, bundle_is_bundle) references product (product_id, bundle),
    constraint product_component_component_fkey foreign key (component_id, component_is_bundle) references product (product_id, bundle),
    constraint product_component_quantity check (quantity between 1 and 100)
);
create index product_component_of on product_component (component_id);

-- The customer names parameters of a bundle by their name alone. Writers of the catalogue take turns (a lock on the table
-- product), so that no two of them add the same name at once.
create function parameter_names_are_unique() returns trigger language plpgsql as $$
declare
    changed bigint := coalesce(to_jsonb(new) ->> 'bundle_id', to_jsonb(new) ->> 'product_id');
begin
    if exists (
        with affected as (
            select changed as bundle_id union select bundle_id from product_component where component_id = changed
        ), part as (
            select bundle_id, bundle_id as product_id from affected
            union all select bundle_id, component_id from affected join product_component using (bundle_id)
        )
        select from part join product_parameter using (product_id) group by bundle_id, name having count(*) > 1)
    then
        raise exception 'two parameters of a bundle have the same name'
            using errcode = 'integrity_constraint_violation', constraint = 'product_parameter_bundle_key';
    end if;
    return null;
end $$;
create constraint trigger product_parameter_bundle_key after insert on product_parameter
    deferrable initially deferred for each row execute function parameter_names_are_unique();
create constraint trigger product_component_parameter_key after insert on product_component
    deferrable initially deferred for each row execute function parameter_names_are_unique();
