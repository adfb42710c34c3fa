-- The ledger, anew. Bills keep what they say, in the words and amounts in which they said it; what was derived from rows that
-- may change is stored with each of them now. Checks of references are made once a statement instead of once a row: what is
-- referred to is final and can't be deleted, so looking once is enough.

-- Prices may be below a cent: one hour costs 0.0066. They are stored in millionths.
drop trigger orders_final on orders;
drop trigger audit on orders;
drop trigger audit on product_price;
drop trigger audit on product_parameter_price;
alter table product_price rename column one_time_cents to one_time_micros;
alter table product_price rename column recurring_cents to recurring_micros;
alter table product_parameter_price rename column one_time_cents to one_time_micros;
alter table product_parameter_price rename column recurring_cents to recurring_micros;
alter table orders rename column one_time_cents to one_time_micros;
alter table orders rename column recurring_cents to recurring_micros;
alter table order_part rename column one_time_cents to one_time_micros;
alter table order_part rename column recurring_cents to recurring_micros;
alter table product_price
    alter column one_time_micros type bigint using one_time_micros * 10000,
    alter column recurring_micros type bigint using recurring_micros * 10000;
alter table product_parameter_price
    alter column one_time_micros type bigint using one_time_micros * 10000,
    alter column recurring_micros type bigint using recurring_micros * 10000;
alter table orders
    alter column one_time_micros type bigint using one_time_micros * 10000,
    alter column recurring_micros type bigint using recurring_micros * 10000,
    -- The end of the commitment of the order that this one upgraded: an upgrade does not end a commitment.
    add column carried_commitment_ends_at timestamptz(0),
    -- The end that a cancellation had set before a downgrade replaced it; undoing the downgrade sets it again.
    add column cancelled_ends_at timestamptz(0);
alter table order_part
    alter column one_time_micros type bigint using one_time_micros * 10000,
    alter column recurring_micros type bigint using recurring_micros * 10000,
    -- The units whose one-time price is charged: those that the replaced order did not have.
    add column new_quantity integer;
alter table order_part disable trigger user;
update order_part set new_quantity = quantity;
alter table order_part enable trigger user;
alter table order_part
    alter column new_quantity set not null,
    add constraint order_part_new_quantity check (new_quantity between 0 and quantity);
create or replace function order_parts_add_up() returns trigger language plpgsql as $$
begin
    if exists (
        select from orders
        join (select order_id, sum(new_quantity * one_time_micros) as one_time, sum(quantity * recurring_micros) as recurring
              from order_part where order_id = new.order_id group by order_id) part using (order_id)
        where one_time <> one_time_micros or recurring <> recurring_micros)
    then
        raise exception 'the parts of order % do not add up to its price', new.order_id
            using errcode = 'integrity_constraint_violation', constraint = 'order_part_sum';
    end if;
    return null;
end $$;

-- How far an order is billed. Narrow rows beside the orders: each run rewrites them.
create table order_cursor (
    order_id bigint primary key references orders,
    user_id bigint not null,
    -- Charges less credits cover the time from the order's start to here, but for what comes to 0.00. Null: nothing is billed.
    billed_through timestamptz(0),
    one_time_billed boolean not null default false,
    -- From this time on a bill run has something to bill.
    due_at timestamptz(0),
    -- Nothing more is to be billed, so bill runs never read the order again. Not just `due_at is null`: an index whose condition
    -- names a column that each run changes would make each run write all index entries of the row anew.
    closed boolean not null default false,
    constraint order_cursor_closed check (closed = (due_at is null))
) with (fillfactor = 50);
insert into order_cursor (order_id, user_id, billed_through, one_time_billed, due_at, closed)
    select order_id, user_id, billed_through, one_time_billed, due_at, closed from orders;
-- The orders that bill runs read, however much history there is.
create index order_cursor_open on order_cursor (user_id) where not closed;
create trigger order_cursor_final before delete or update of order_id, user_id
    on order_cursor for each row execute function refuse_change();
create trigger order_cursor_kept before truncate on order_cursor for each statement execute function refuse_change();
alter table orders drop column billed_through, drop column one_time_billed, drop column due_at, drop column closed;
alter table orders reset (fillfactor);
call audit_table('product_price', 'product', 'product_id');
call audit_table('product_parameter_price', 'product', 'product_id');

drop trigger audit on vat_rate;
-- Rates apply in territories, of which a few are parts of a country. Their time zones are in the program, beside their borders.
alter table vat_rate
    drop constraint vat_rate_overlap,
    drop constraint vat_rate_territory_form,
    drop column time_zone,
    add constraint vat_rate_territory_form check (territory ~ '^[A-Z][A-Z](-[1-9][0-9]?[0-9]?[0-9]?)?$'),
    -- A territory has one rate at a time. Territory and day are one number here, because PostgreSQL excludes overlapping ranges
    -- of numbers without an extension; the days of one territory never reach into the next one's.
    add constraint vat_rate_overlap exclude using gist (
        int8range(((ascii(territory) * 256 + ascii(substr(territory, 2))) * 10000::bigint
                      + coalesce(nullif(substr(territory, 4), '')::integer, 0)) * 10000000 + (starts_on - date '0001-01-01'),
                  ((ascii(territory) * 256 + ascii(substr(territory, 2))) * 10000::bigint
                      + coalesce(nullif(substr(territory, 4), '')::integer, 0)) * 10000000
                      + coalesce(ends_on - date '0001-01-01', 9999999)) with &&);

call audit_table('vat_rate', 'vat_rate', 'territory');

-- The seller of a new installation is nobody until the provider has set its own details.
alter table seller add column is_placeholder boolean not null default false;
alter table seller disable trigger user;
update seller set is_placeholder = true
    where name = 'Name of the provider' and street = 'Street 1' and city = 'Zurich' and vat_number is null;
alter table seller enable trigger user;
call audit_table('seller', 'seller', 'seller_id');

-- Runs keep the seller as it was, and may be aborted.
alter table bill_run
    add column seller json,
    add column aborted_at timestamptz,
    add column aborted_by bigint references users,
    add constraint bill_run_aborted check (aborted_at is null or finished_at is not null);
update bill_run set seller = (
    select json_strip_nulls(json_build_object('name', name, 'street', street, 'postal_code', postal_code, 'city', city,
        'country', country, 'vat_number', vat_number))
    from seller where seller.seller_id = bill_run.seller_id);
alter table bill_run alter column seller set not null;
call audit_table('bill_run', 'bill_run', 'run_id', 'customers_done', 'finished_at', 'seller');

-- The tables of bills so far, whose names, and those of their constraints, are taken anew.
create schema old_ledger;
alter table bill set schema old_ledger;
alter table bill_number set schema old_ledger;
alter table bill_record set schema old_ledger;
alter table bill_vat set schema old_ledger;
alter table bill_run drop constraint bill_run_as_of_key cascade;

create trigger bill_run_final before delete or update of
    run_id, as_of, user_id, requested_by, seller_id, seller, customers, started_at
    on bill_run for each row execute function refuse_change();

create table bill (
    bill_id bigint generated always as identity primary key,
    run_id bigint not null,
    user_id bigint not null,
    currency text not null,
    -- The one VAT situation of a bill: the territory of a bill taxed at its rates (S), or no territory (AE, O). Both null: a bill
    -- from before, which may have mixed several.
    vat_category text,
    territory text,
    net_cents bigint not null,
    tax_cents bigint not null,
    gross_cents bigint not null,
    -- The amount that rounding to coins adds or takes away.
    rounding_cents bigint not null default 0,
    amount_due_cents bigint not null,
    -- Days from the issue date to the due date. Null: a bill from before, which named none.
    payment_days smallint,
    -- Everything that the bill says besides: language, customer, lines, reasons. Read as it is, never derived again.
    content json not null,
    constraint bill_currency_form check (currency ~ '^[A-Z][A-Z][A-Z]$'),
    constraint bill_gross check (gross_cents = net_cents + tax_cents),
    constraint bill_amount_due check (amount_due_cents = gross_cents + rounding_cents and rounding_cents between -2 and 2),
    constraint bill_payment_days check (payment_days between 0 and 365)
);
create table bill_number (
    bill_id bigint primary key,
    year smallint not null,
    sequence integer not null,
    -- The civil date at the seller's place on which the bill was made.
    issue_date date not null,
    constraint bill_number_key unique (year, sequence),
    constraint bill_number_sequence check (sequence >= 1),
    constraint bill_number_year check (year = extract(year from issue_date))
);
-- Six digits, and more from the millionth bill of a year on.
create function bill_number_text(year smallint, sequence integer) returns text language sql immutable parallel safe
    return year::text || '-' || lpad(sequence::text, greatest(6, length(sequence::text)), '0');

-- The VAT of a bill, rounded once for each rate. Records name their group.
create table bill_vat (
    bill_id bigint not null,
    vat_group smallint not null,
    -- UNCL 5305: S taxed, AE reverse charge, O out of scope.
    category text not null,
    territory text,
    rate_ppm integer not null,
    taxable_amount_cents bigint not null,
    tax_amount_cents bigint not null,
    primary key (bill_id, vat_group),
    constraint bill_vat_category check (category in ('S', 'AE', 'O') and rate_ppm between 0 and 1000000
        and (category = 'S' or rate_ppm = 0) and (category = 'S') = (territory is not null)),
    -- Half away from zero, as PostgreSQL rounds numeric.
    constraint bill_vat_tax check (tax_amount_cents = round(taxable_amount_cents::numeric * rate_ppm / 1000000))
);

-- What recurring prices charge, by order and time: one chain for each order, without gap and overlap.
create table bill_charge (
    bill_id bigint not null,
    order_id bigint not null,
    -- Half-open.
    charge_from timestamptz(0) not null,
    charge_to timestamptz(0) not null,
    net_cents bigint not null,
    vat_group smallint not null,
    -- The length of a whole period; the quantity is seconds / period_seconds.
    period_seconds integer not null,
    constraint bill_charge_pkey primary key (order_id, charge_from),
    constraint bill_charge_span check (charge_from < charge_to and period_seconds > 0)
);
-- What is on bills besides.
create table bill_record (
    bill_id bigint not null,
    position integer not null,
    kind text not null,
    order_id bigint,
    item_id bigint,
    correction_id bigint,
    -- Half-open; an instant for what is charged once.
    span_from timestamptz(0) not null,
    span_to timestamptz(0) not null,
    period_seconds integer,
    net_cents bigint not null,
    vat_group smallint not null,
    -- The bill that a credit or a correction corrects.
    corrects_bill_id bigint,
    primary key (bill_id, position),
    constraint bill_record_kind check (case kind
        when 'credit' then order_id is not null and span_from < span_to and period_seconds > 0 and net_cents <= 0
            and corrects_bill_id is not null
        when 'one_time' then order_id is not null and span_from = span_to and net_cents > 0
            and num_nonnulls(period_seconds, corrects_bill_id) = 0
        when 'manual' then span_from = span_to and num_nonnulls(order_id, period_seconds) = 0
        when 'correction' then corrects_bill_id is not null
        else false end),
    constraint bill_record_manual check ((kind = 'manual') = (item_id is not null)),
    constraint bill_record_correction check ((kind = 'correction') = (correction_id is not null))
);

-- An item may reverse an earlier one, in whole or in part, at the VAT of that one.
drop trigger bill_item_final on bill_item;
drop trigger audit on bill_item;
alter table bill_item add column reverses bigint references bill_item;
create unique index bill_item_reverses_key on bill_item (reverses) where voided_at is null;
create function item_reverses_billed() returns trigger language plpgsql as $$
begin
    if not exists (
        select from bill_item item join bill_record on bill_record.item_id = item.item_id and kind = 'manual'
        where item.item_id = new.reverses and item.user_id = new.user_id and item.currency = new.currency
            and item.service_at = new.service_at and sign(item.net_cents) = -sign(new.net_cents)
            and abs(item.net_cents) >= abs(new.net_cents))
    then
        raise exception 'item % does not reverse a billed item of its customer', new.item_id
            using errcode = 'integrity_constraint_violation', constraint = 'bill_item_reverses';
    end if;
    return null;
end $$;
create constraint trigger bill_item_reverses after insert on bill_item
    for each row when (new.reverses is not null) execute function item_reverses_billed();
create trigger bill_item_final before delete or update of
    user_id, currency, description, net_cents, service_at, reason, created_by, created_at, reverses
    on bill_item for each row execute function refuse_change();
call audit_table('bill_item', 'bill_item', 'item_id', 'billed');

-- VAT rates at which something was billed and which turned out to be wrong: staff order that the next bills credit it at the
-- old rate and charge it at the new one.
create table rate_correction (
    correction_id bigint generated always as identity primary key,
    user_id bigint not null references users,
    -- What was billed: a charge of an order, its one-time price, or an item.
    order_id bigint references orders,
    item_id bigint references bill_item,
    currency text not null,
    span_from timestamptz(0) not null,
    span_to timestamptz(0) not null,
    net_cents bigint not null,
    territory text not null,
    old_rate_ppm integer not null,
    new_rate_ppm integer not null,
    bill_id bigint not null,
    requested_by bigint references users,
    created_at timestamptz not null default now(),
    billed boolean not null default false,
    constraint rate_correction_of check (num_nonnulls(order_id, item_id) = 1),
    constraint rate_correction_rates check (
        old_rate_ppm <> new_rate_ppm and old_rate_ppm between 0 and 1000000 and new_rate_ppm between 0 and 1000000),
    constraint rate_correction_span check (span_from <= span_to),
    constraint rate_correction_not_zero check (net_cents <> 0)
);
-- The corrections that bill runs read.
create index rate_correction_open on rate_correction (user_id) where not billed;
create index rate_correction_of_bill on rate_correction (bill_id);
create index rate_correction_order on rate_correction (order_id, span_from) where order_id is not null;
create index rate_correction_item on rate_correction (item_id) where item_id is not null;
create trigger rate_correction_final before delete or update of
    user_id, order_id, item_id, currency, span_from, span_to, net_cents, territory, old_rate_ppm, new_rate_ppm, bill_id,
    requested_by, created_at
    on rate_correction for each row execute function refuse_change();
create trigger rate_correction_kept before truncate on rate_correction for each statement execute function refuse_change();
call audit_table('rate_correction', 'rate_correction', 'correction_id', 'billed');

-- The bills from before, as they were shown.

-- The seconds of the order's running period that had passed at `t`.
create function old_ledger.elapsed(starts_at timestamptz, unit text, count integer, zone text, t timestamptz) returns bigint
language plpgsql as $$
declare
    months integer := count * case unit when 'year' then 12 else 1 end;
    n integer;
    wall timestamp;
    boundary timestamptz;
begin
    if unit in ('hour', 'day') then
        return mod(extract(epoch from t - starts_at)::bigint, count * case unit when 'hour' then 3600 else 86400 end);
    end if;
    n := greatest(0, ((extract(year from t at time zone zone) - extract(year from starts_at at time zone zone)) * 12
        + extract(month from t at time zone zone) - extract(month from starts_at at time zone zone))::integer / months + 1);
    loop
        wall := (starts_at at time zone zone) + make_interval(months => n * months);
        boundary := case when n = 0 then starts_at else wall at time zone zone end;
        -- Of a time that clocks show twice, the first one.
        if n > 0 and (boundary - interval '1 hour') at time zone zone = wall then
            boundary := boundary - interval '1 hour';
        end if;
        if boundary <= t then
            return extract(epoch from t - boundary)::bigint;
        end if;
        n := n - 1;
    end loop;
end $$;
create function old_ledger.rate(ppm integer) returns text language sql immutable
    return (ppm / 1000000)::text || '.' || left(lpad((ppm % 1000000)::text, 6, '0'), 3)
        || rtrim(right(lpad((ppm % 1000000)::text, 6, '0'), 3), '0');
create function old_ledger.decimal(value bigint, decimals integer) returns text language sql immutable
    return case when value < 0 then '-' else '' end || (abs(value) / (10 ^ decimals)::bigint)::text || '.'
        || lpad((abs(value) % (10 ^ decimals)::bigint)::text, decimals, '0');
create function old_ledger.price(micros bigint) returns text language sql immutable
    return left(old_ledger.decimal(micros, 6), -4) || rtrim(right(old_ledger.decimal(micros, 6), 4), '0');
create function old_ledger.time(t timestamptz) returns text language sql stable
    return to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
create function old_ledger.vat_reason(category text, country text, rate_ppm integer) returns text language sql immutable
    return case category
        when 'S' then 'standard rate of ' || country || ' at the time of service, ' || old_ledger.rate(rate_ppm)
        when 'AE' then 'a business in ' || country || ' with a verified VAT number owes the VAT itself'
        else 'outside the scope of the seller''s VAT: the customer is in ' || country end;

create view old_ledger.vat as
    select vat.*, row_number() over (partition by bill_id order by category, rate_ppm)::smallint as vat_group,
           old_ledger.vat_reason(category, country, rate_ppm) as reason, case category when 'S' then country end as territory
    from old_ledger.bill_vat vat join old_ledger.bill using (bill_id) join billing_address using (address_id);
create view old_ledger.record as
    select record.*, vat.vat_group, product.name as product, coalesce(orders.description, item.description) as description,
           (record.kind <> 'recurring' and record.kind <> 'credit')::integer as once,
           extract(epoch from span_to - span_from)::bigint as secs,
           case when record.period_seconds is not null
               then old_ledger.elapsed(starts_at, period_unit, period_count, time_zone, span_from) else 0 end as elapsed,
           case record.kind when 'one_time' then one_time_micros when 'manual' then item.net_cents * 10000
               else recurring_micros end as price_micros,
           billing_ends_at,
           (select min(later.order_id) from orders later where later.replaces = record.order_id and not later.void) as replaced_by,
           (select charge.bill_id from old_ledger.bill_record charge
            where record.kind = 'credit' and charge.order_id = record.order_id and charge.charge_to = record.span_to)
               as corrects_bill_id
    from old_ledger.bill_record record
    join old_ledger.vat vat on vat.bill_id = record.bill_id and vat.category = record.vat_category
        and vat.rate_ppm = record.vat_rate_ppm
    left join orders using (order_id) left join product using (product_id)
    left join bill_item item on item.item_id = record.item_id;
create function old_ledger.charged(secs bigint, period bigint, elapsed bigint) returns text language sql immutable
    return case
        when secs = period and elapsed = 0 then 'a whole period'
        when secs % period = 0 and elapsed = 0 then (secs / period)::text || ' whole periods'
        when elapsed = 0 then secs || ' s of a period of ' || period || ' s'
        else secs || ' s of a period of ' || period || ' s, after ' || elapsed || ' s of it' end;
create view old_ledger.line as
    select bill_id, position, json_strip_nulls(json_build_object(
        'kind', kind, 'order_id', order_id, 'product', product, 'text', description,
        'reason', case kind
            when 'recurring' then old_ledger.charged(secs, period_seconds, elapsed) || case
                when (elapsed + secs) % period_seconds = 0 then ''
                when billing_ends_at = span_to then coalesce('; order ' || replaced_by || ' replaced it', '; the order ended')
                else '; then the VAT rate changes' end
            when 'credit' then 'paid before and not used: ' || old_ledger.charged(secs, period_seconds, elapsed)
                || coalesce('; order ' || replaced_by || ' replaced it', '; the order ended')
            when 'one_time' then 'once'
            else 'added manually' end,
        'from', old_ledger.time(span_from), 'to', old_ledger.time(span_to),
        'quantity', case when once = 1 then '1.000000'
            else old_ledger.decimal(round(secs * 1000000::numeric / period_seconds)::bigint, 6) end,
        'unit_price', old_ledger.price(price_micros), 'net', old_ledger.decimal(net_cents, 2),
        'vat_group', vat_group)) as line
    from old_ledger.record;

insert into bill (bill_id, run_id, user_id, currency, vat_category, territory, net_cents, tax_cents, gross_cents, rounding_cents,
        amount_due_cents, content)
    overriding system value
    select bill.bill_id, run_id, bill.user_id, currency,
           case when vat.situations = 1 then vat.category end, case when vat.situations = 1 then vat.territory end,
           net_cents, tax_cents, gross_cents, rounding_cents, amount_due_cents,
           json_build_object(
               'language', 'en',
               'customer', json_strip_nulls(json_build_object('name', address.name, 'company', company, 'street', street,
                   'postal_code', postal_code, 'city', city, 'country', country, 'vat_number', vat_number)),
               'lines', (select json_agg(line order by position) from old_ledger.line where line.bill_id = bill.bill_id),
               'vat', vat.texts,
               'notes', case when vat.is_reversed then json_build_array('Reverse charge: the customer owes the VAT (articles 44 and 196 of Directive 2006/112/EC).')
                   else json_build_array() end)
    from old_ledger.bill
    join billing_address address using (address_id)
    cross join lateral (
        select count(distinct category) as situations, min(category) as category, min(vat.territory) as territory,
               bool_or(category = 'AE') as is_reversed, json_agg(json_build_object('reason', reason) order by vat_group) as texts
        from old_ledger.vat vat where vat.bill_id = bill.bill_id) vat;
select setval(pg_get_serial_sequence('bill', 'bill_id'), (select max(bill_id) from bill)) where exists (select from bill);
insert into bill_vat (bill_id, vat_group, category, territory, rate_ppm, taxable_amount_cents, tax_amount_cents)
    select bill_id, vat_group, category, territory, rate_ppm, taxable_amount_cents, tax_amount_cents from old_ledger.vat;
insert into bill_charge (bill_id, order_id, charge_from, charge_to, net_cents, vat_group, period_seconds)
    select bill_id, order_id, span_from, span_to, net_cents, vat_group, period_seconds
    from old_ledger.record where kind = 'recurring';
insert into bill_record (bill_id, position, kind, order_id, item_id, span_from, span_to, period_seconds, net_cents, vat_group,
        corrects_bill_id)
    select bill_id, position, kind, order_id, item_id, span_from, span_to, period_seconds, net_cents, vat_group, corrects_bill_id
    from old_ledger.record where kind <> 'recurring';
-- Its date is the one that it bore.
insert into bill_number (bill_id, year, sequence, issue_date)
    select bill_id, year, sequence, (issued_at at time zone time_zone)::date
    from old_ledger.bill_number join old_ledger.bill using (bill_id) join bill_run using (run_id) join seller using (seller_id);
drop schema old_ledger cascade;

-- An order that was replaced in the second in which it started is void, and the next one takes its place. So it names the order
-- whose place that was, and `orders_replaces_key` refuses a second one. What has two successors already stays as it is.
update orders late set replaces = void.replaces
    from orders void
    where late.replaces = void.order_id and void.void and void.replaces is not null and not late.void
        and not exists (select from orders other where other.replaces = void.replaces and not other.void)
        and (select count(*) from orders other where other.replaces = void.order_id and not other.void) = 1;
call audit_table('orders', 'order', 'order_id');
create function replaces_live_order() returns trigger language plpgsql as $$
begin
    if exists (select from orders before where before.order_id = new.replaces and before.void and before.replaces is not null) then
        raise exception 'order % is void; its replacement replaces the order before it', new.replaces
            using errcode = 'integrity_constraint_violation', constraint = 'orders_replaces_live';
    end if;
    return null;
end $$;
create constraint trigger orders_replaces_live after insert on orders
    for each row when (new.replaces is not null) execute function replaces_live_order();
create function void_order_is_final() returns trigger language plpgsql as $$
begin
    if old.void or exists (select from orders later where later.replaces = new.order_id and not later.void) then
        raise exception '%', case when old.void then format('order %s is void, and stays so', new.order_id)
                else format('order %s is replaced by another one, so it can''t become void', new.order_id) end
            using errcode = 'integrity_constraint_violation', constraint = 'orders_void_final';
    end if;
    return null;
end $$;
create constraint trigger orders_void_final after update of void on orders
    for each row when (old.void <> new.void) execute function void_order_is_final();
create trigger orders_final before delete or update of
    user_id, product_id, description, currency, one_time_micros, recurring_micros, period_unit, period_count,
    billing_mode, commitment_periods, carried_commitment_ends_at, upgrade_credit, time_zone, starts_at, replaces, ordered_at,
    ordered_by
    on orders for each row execute function refuse_change();

-- The order of columns is that of lookups: the bills of a run by customer, and the one bill of a customer for each situation.
alter table bill add constraint bill_situation_key unique nulls not distinct (run_id, user_id, currency, territory, vat_category),
    -- Not of the bills from before.
    add constraint bill_situation check (
        vat_category in ('S', 'AE', 'O') and vat_category is not null and (vat_category = 'S') = (territory is not null)) not valid,
    -- Coins are those of francs.
    add constraint bill_rounding check (rounding_cents = 0 or (currency = 'CHF' and amount_due_cents % 5 = 0)) not valid;
-- What comes to 0.00 waits for the next bill. Not of the bills from before.
alter table bill_charge add constraint bill_charge_positive check (net_cents > 0) not valid;
alter table bill_record add constraint bill_record_credit_negative check (kind <> 'credit' or net_cents < 0) not valid;
create index bill_of_user on bill (user_id, bill_id);
create index bill_charge_of_bill on bill_charge (bill_id);
-- A one-time price, the end of a charge, an item and a correction are billed, or credited, once.
create unique index bill_record_one_time_key on bill_record (order_id) where kind = 'one_time';
create unique index bill_record_credit_key on bill_record (order_id, span_to) where kind = 'credit';
create unique index bill_record_manual_key on bill_record (item_id) where kind = 'manual';
create unique index bill_record_correction_key on bill_record (correction_id, sign(net_cents)) where kind = 'correction';

-- Bills are made in this order, each step in one statement for all bills of a batch: bills, their charges and records, and their
-- VAT, which seals them. So a bill without VAT has no number, and one with VAT gets no further records.
--
-- The functions below run for batches of a known, small size beside tables of any size: nested loops by index are right, and a
-- plan that was made while a table was empty must not read all of it later. A subquery with a limit or an offset keeps the
-- planner from turning a loop around.

-- Raises what one of the checks below has found.
create function refuse_row(violated text, message text) returns void language plpgsql as $$
begin
    raise exception '%', message using errcode = 'integrity_constraint_violation', constraint = violated;
end $$;

create function bills_fit_run() returns trigger language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    wrong record;
begin
    select added.bill_id, case
            when bill_run.run_id is null then 'bill_run_fkey'
            when users.user_id is null then 'bill_user_fkey'
            when bill_run.aborted_at is not null or bill_run.user_id <> added.user_id then 'bill_run_customer'
        end as violated
    into wrong
    from added left join bill_run using (run_id) left join users on users.user_id = added.user_id
    where bill_run.run_id is null or users.user_id is null or bill_run.aborted_at is not null
        or bill_run.user_id <> added.user_id
    limit 1;
    if found then
        perform refuse_row(wrong.violated, format('bill %s is of no run and customer', wrong.bill_id));
    end if;
    return null;
end $$;
create trigger bill_fits_run after insert on bill
    referencing new table as added for each statement execute function bills_fit_run();

-- Charges continue where the ones before them end, and the first one begins when its order does. Begins are unique. So nothing
-- overlaps and nothing is left out.
create function charges_fit() returns trigger language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    wrong record;
begin
    select * into wrong from (
        select added.order_id, added.bill_id, case
                when bill.bill_id is null then 'bill_charge_bill_fkey'
                when orders.order_id is null then 'bill_charge_order_fkey'
                when bill.user_id <> orders.user_id or bill.currency <> orders.currency then 'bill_charge_owner'
                when added.charge_to > orders.billing_ends_at then 'bill_charge_past_end'
                when added.charge_from <> coalesce(
                    (select earlier.charge_to from bill_charge earlier
                     where earlier.order_id = added.order_id and earlier.charge_from < added.charge_from
                     order by earlier.charge_from desc limit 1), orders.starts_at) then 'bill_charge_chain'
            end as violated
        from added left join bill using (bill_id) left join orders on orders.order_id = added.order_id) checked
    where checked.violated is not null limit 1;
    if found then
        perform refuse_row(wrong.violated, case wrong.violated
            when 'bill_charge_owner' then format('bill %s has a record that is another customer''s or in another currency', wrong.bill_id)
            when 'bill_charge_past_end' then format('order %s is charged after its end', wrong.order_id)
            when 'bill_charge_chain' then format('a charge of order %s does not begin where the one before it ends', wrong.order_id)
            else format('bill %s or order %s does not exist', wrong.bill_id, wrong.order_id) end);
    end if;
    select bill_id into wrong from (select distinct bill_id from added) batch
    where (select true from bill_vat where bill_vat.bill_id = batch.bill_id limit 1) limit 1;
    if found then
        perform refuse_row('bill_charge_issued', format('bill %s is complete', wrong.bill_id));
    end if;
    return null;
end $$;
create trigger bill_charge_fits after insert on bill_charge
    referencing new table as added for each statement execute function charges_fit();

create function records_fit() returns trigger language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    wrong record;
begin
    select bill_id into wrong from (select distinct bill_id from added) batch
    where (select true from bill_vat where bill_vat.bill_id = batch.bill_id limit 1) limit 1;
    if found then
        perform refuse_row('bill_record_issued', format('bill %s is complete', wrong.bill_id));
    end if;
    select * into wrong from (
        select added.order_id, added.bill_id, case
                when bill.bill_id is null then 'bill_record_bill_fkey'
                when added.item_id is not null and item.item_id is null then 'bill_record_item_fkey'
                when added.correction_id is not null and correction.correction_id is null then 'bill_record_correction_fkey'
                when added.order_id is not null and orders.order_id is null then 'bill_record_order_fkey'
                when (bill.user_id, bill.currency) is distinct from
                    (coalesce(orders.user_id, item.user_id, correction.user_id),
                     coalesce(orders.currency, item.currency, correction.currency)) then 'bill_record_owner'
                when corrected.user_id <> bill.user_id or (added.corrects_bill_id is not null and corrected.bill_id is null)
                    or added.kind = 'manual' and added.corrects_bill_id is distinct from (
                        select reversed.bill_id from bill_record reversed
                        where reversed.kind = 'manual' and reversed.item_id = item.reverses)
                    then 'bill_record_corrects'
                when added.kind = 'one_time' and (orders.void or added.net_cents <> round(orders.one_time_micros / 10000.0))
                    or added.kind = 'manual' and (item.voided_at is not null or added.net_cents <> item.net_cents)
                    then 'bill_record_price'
            end as violated
        from added left join bill using (bill_id) left join orders on orders.order_id = added.order_id
            left join bill_item item on item.item_id = added.item_id
            left join rate_correction correction on correction.correction_id = added.correction_id
            left join bill corrected on corrected.bill_id = added.corrects_bill_id) checked
    where checked.violated is not null limit 1;
    if found then
        perform refuse_row(wrong.violated, case wrong.violated
            when 'bill_record_owner' then format('bill %s has a record that is another customer''s or in another currency', wrong.bill_id)
            when 'bill_record_corrects' then format('bill %s corrects a bill that its customer does not have', wrong.bill_id)
            when 'bill_record_price' then format('bill %s has a price that is not the order''s or the item''s', wrong.bill_id)
            else format('bill %s refers to a row that does not exist', wrong.bill_id) end);
    end if;
    -- A credit lies within one charge, on the bill that it corrects, and after the order's end; together, its credits take back
    -- no more than that. An order's credits are given once, without overlap.
    select * into wrong from (
        select added.order_id, added.bill_id,
               exists (select from bill_charge charge join orders using (order_id)
                       where charge.order_id = added.order_id and charge.charge_from <= added.span_from
                           and charge.charge_to >= added.span_to and charge.bill_id = added.corrects_bill_id
                           and added.span_from >= orders.billing_ends_at
                           and charge.net_cents >= (
                               select -sum(net_cents) from bill_record credit
                               where credit.kind = 'credit' and credit.order_id = charge.order_id
                                   and credit.span_from >= charge.charge_from and credit.span_to <= charge.charge_to)) as is_charged,
               exists (select from bill_record other
                       where other.kind = 'credit' and other.order_id = added.order_id
                           and (other.bill_id, other.position) <> (added.bill_id, added.position)
                           and other.span_from < added.span_to and added.span_from < other.span_to) as is_credited
        from added where kind = 'credit') checked
    where not is_charged or is_credited limit 1;
    if found then
        perform refuse_row('bill_record_credit_fits', format(
            'the credit for order %s does not fit the charge that it takes back', wrong.order_id));
    end if;
    return null;
end $$;
create trigger bill_record_fits after insert on bill_record
    referencing new table as added for each statement execute function records_fit();

-- The VAT of a bill completes it: the groups are those of its records, the totals are their sums, and all are of its situation.
create function bills_add_up() returns trigger language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    wrong bigint;
begin
    select added.bill_id into wrong
    from added left join bill using (bill_id)
    where bill.bill_id is null or added.category is distinct from bill.vat_category
        or added.territory is distinct from bill.territory
    limit 1;
    if found then
        perform refuse_row('bill_vat_situation', format('bill %s has VAT of another situation', wrong));
    end if;
    -- Sums without a join: each bill's rows are put below each other, and added up.
    select bill_id into wrong
    from (
        select bill_id, sum(taxable) as taxable, sum(tax) as tax,
               sum(net) = sum(taxable) and sum(records) > 0 and sum(groups) = 1 as fits, 0 as parts, 0::numeric as bill_net,
               0::numeric as bill_tax
        from (
            select batch.bill_id, charge.vat_group, charge.net_cents as net, 0::bigint as taxable, 0::bigint as tax,
                   1 as records, 0 as groups
            from (select distinct bill_id from added) batch cross join lateral (
                select vat_group, net_cents from bill_charge where bill_charge.bill_id = batch.bill_id offset 0) charge
            union all
            select batch.bill_id, record.vat_group, record.net_cents, 0, 0, 1, 0
            from (select distinct bill_id from added) batch cross join lateral (
                select vat_group, net_cents from bill_record where bill_record.bill_id = batch.bill_id offset 0) record
            union all
            select bill_id, vat_group, 0, taxable_amount_cents, tax_amount_cents, 0, 1 from added) part
        group by bill_id, vat_group
        union all
        select batch.bill_id, 0, 0, true, 1, totals.net_cents, totals.tax_cents
        from (select distinct bill_id from added) batch cross join lateral (
            select net_cents, tax_cents from bill where bill.bill_id = batch.bill_id offset 0) totals) sums
    group by bill_id
    having not bool_and(fits) or sum(parts) <> 1 or sum(taxable) <> sum(bill_net) or sum(tax) <> sum(bill_tax)
    limit 1;
    if found then
        perform refuse_row('bill_totals', format('the totals of bill %s are not those of its records', wrong));
    end if;
    select added.bill_id into wrong from added group by added.bill_id having count(*) <> count(distinct rate_ppm) limit 1;
    if found then
        perform refuse_row('bill_vat_rate_key', format('bill %s has two VAT groups of one rate', wrong));
    end if;
    if not exists (select from bill_record where corrects_bill_id is not null
            and bill_id between (select min(bill_id) from added) and (select max(bill_id) from added))
    then
        return null;
    end if;
    -- A credit is taxed as the charge that it takes back, or at the rate to which that was corrected.
    select credit.bill_id into wrong
    from added join bill_record credit on credit.bill_id = added.bill_id and credit.vat_group = added.vat_group
        and credit.kind = 'credit'
    where not exists (
        select from bill_charge charge join bill_vat taxed on taxed.bill_id = charge.bill_id and taxed.vat_group = charge.vat_group
        where charge.order_id = credit.order_id and charge.charge_from <= credit.span_from and charge.charge_to >= credit.span_to
            and taxed.category = added.category and taxed.territory is not distinct from added.territory
            and (taxed.rate_ppm = added.rate_ppm or exists (
                select from rate_correction correction
                where correction.order_id = credit.order_id and correction.bill_id = charge.bill_id
                    and correction.new_rate_ppm = added.rate_ppm and correction.span_from < credit.span_to
                    and credit.span_from < correction.span_to)))
    limit 1;
    if found then
        perform refuse_row('bill_record_credit_taxed', format('bill %s credits at another VAT than was charged', wrong));
    end if;
    -- So is an item that reverses another one.
    select reversal.bill_id into wrong
    from added join bill_record reversal on reversal.bill_id = added.bill_id and reversal.vat_group = added.vat_group
        and reversal.kind = 'manual' and reversal.corrects_bill_id is not null
    where not exists (
        select from bill_item item join bill_record reversed on reversed.item_id = item.reverses and reversed.kind = 'manual'
        join bill_vat taxed on taxed.bill_id = reversed.bill_id and taxed.vat_group = reversed.vat_group
        where item.item_id = reversal.item_id and taxed.category = added.category
            and taxed.territory is not distinct from added.territory
            and (taxed.rate_ppm = added.rate_ppm or exists (
                select from rate_correction correction
                where correction.item_id = item.reverses and correction.new_rate_ppm = added.rate_ppm)))
    limit 1;
    if found then
        perform refuse_row('bill_record_credit_taxed', format('bill %s reverses an item at another VAT than was charged', wrong));
    end if;
    -- Both halves of a correction are on one bill: the credit at the old rate and the charge at the new one.
    select half.bill_id into wrong
    from (select distinct bill_id from added) batch join bill_record half using (bill_id)
        join bill_vat taxed on taxed.bill_id = half.bill_id and taxed.vat_group = half.vat_group
        join rate_correction correction on correction.correction_id = half.correction_id
    where half.kind = 'correction'
    group by half.bill_id, half.correction_id, correction.correction_id
    having count(*) <> 2 or bool_or(taxed.territory is distinct from correction.territory
        or half.corrects_bill_id is distinct from correction.bill_id or not (
            (half.net_cents = -correction.net_cents and taxed.rate_ppm = correction.old_rate_ppm)
            or (half.net_cents = correction.net_cents and taxed.rate_ppm = correction.new_rate_ppm)))
    limit 1;
    if found then
        perform refuse_row('bill_record_correction_whole', format('bill %s has not both halves of a correction', wrong));
    end if;
    return null;
end $$;
create trigger bill_totals after insert on bill_vat
    referencing new table as added for each statement execute function bills_add_up();

-- Refuses numbers that leave a gap or go back in time, and numbers of bills that are not complete. Numbers are unique, so those
-- from the first to the last of a statement leave no gap if there are as many.
create function numbers_continue() returns trigger language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    given record;
    before bill_number;
begin
    for given in
        select year, min(sequence) as first, max(sequence) as last, count(*) as numbers, min(issue_date) as issue_date,
               max(issue_date) as latest
        from added group by year order by year
    loop
        select * into before from bill_number where (year, sequence) < (given.year, given.first) order by year desc, sequence desc limit 1;
        if given.last - given.first + 1 <> given.numbers
            or given.first <> (1 + case when before.year = given.year then before.sequence else 0 end)
        then
            perform refuse_row('bill_number_gapless', 'bill numbers have no gaps');
        end if;
        if given.issue_date < before.issue_date or (given.issue_date <> given.latest and exists (
            select from (select issue_date < lag(issue_date) over (order by sequence) as is_earlier from added where year = given.year) dates
            where is_earlier))
        then
            perform refuse_row('bill_number_dates', 'bill numbers are in the order of their dates');
        end if;
    end loop;
    select * into before from bill_number order by year desc, sequence desc limit 1;
    if exists (select from added) and not exists (select from added where (year, sequence) = (before.year, before.sequence)) then
        perform refuse_row('bill_number_last', 'a number follows the last one');
    end if;
    if exists (select from added where not exists (select from bill_vat where bill_vat.bill_id = added.bill_id)) then
        perform refuse_row('bill_number_complete', 'a bill without VAT is not complete');
    end if;
    return null;
end $$;
create trigger bill_number_continues after insert on bill_number
    referencing new table as added for each statement execute function numbers_continue();

-- Final: nothing is changed, and what has a number is not deleted. An aborted run deletes bills without one, and what they
-- consist of before them.
create or replace function refuse_numbered() returns trigger language plpgsql as $$
begin
    if exists (select from gone where (select true from bill_number where bill_number.bill_id = gone.bill_id limit 1)) then
        perform refuse_row(tg_table_name || '_final', 'a bill that is issued is final');
    end if;
    if tg_table_name = 'bill' and (
        exists (select from gone where (select true from bill_charge where bill_charge.bill_id = gone.bill_id limit 1))
        or exists (select from gone where (select true from bill_record where bill_record.bill_id = gone.bill_id limit 1))
        or exists (select from gone where (select true from bill_vat where bill_vat.bill_id = gone.bill_id limit 1)))
    then
        perform refuse_row('bill_final', 'a bill is deleted after its records');
    end if;
    return null;
end $$;
-- A gap could be charged again up to any time.
create function charges_end_chain() returns trigger language plpgsql as $$
begin
    if exists (select from gone where (select true from bill_charge later
        where later.order_id = gone.order_id and later.charge_from >= gone.charge_to limit 1))
    then
        perform refuse_row('bill_charge_chain', 'the last charges of an order are deleted first');
    end if;
    return null;
end $$;
create trigger bill_final before update on bill for each row execute function refuse_change();
create trigger bill_issued after delete on bill
    referencing old table as gone for each statement execute function refuse_numbered();
create trigger bill_kept before truncate on bill for each statement execute function refuse_change();
create trigger bill_number_final before update or delete on bill_number for each row execute function refuse_change();
create trigger bill_number_kept before truncate on bill_number for each statement execute function refuse_change();
create trigger bill_vat_final before update on bill_vat for each row execute function refuse_change();
create trigger bill_vat_issued after delete on bill_vat
    referencing old table as gone for each statement execute function refuse_numbered();
create trigger bill_vat_kept before truncate on bill_vat for each statement execute function refuse_change();
create trigger bill_charge_final before update on bill_charge for each row execute function refuse_change();
create trigger bill_charge_issued after delete on bill_charge
    referencing old table as gone for each statement execute function refuse_numbered();
create trigger bill_charge_last after delete on bill_charge
    referencing old table as gone for each statement execute function charges_end_chain();
create trigger bill_charge_kept before truncate on bill_charge for each statement execute function refuse_change();
create trigger bill_record_final before update on bill_record for each row execute function refuse_change();
create trigger bill_record_issued after delete on bill_record
    referencing old table as gone for each statement execute function refuse_numbered();
create trigger bill_record_kept before truncate on bill_record for each statement execute function refuse_change();
drop function credit_fits_charge();
drop function record_fits_bill();
drop function bills_are_sound();
