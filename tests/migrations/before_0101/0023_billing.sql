-- Bills. The chain of bill records makes it impossible to bill a second twice or to leave one out.

-- One pass of bill generation as of a time.
create table bill_run (
    run_id bigint generated always as identity primary key,
    as_of timestamptz(0) not null,
    -- Null: everybody. Otherwise staff's bill for one customer, made whole in one transaction.
    user_id bigint references users,
    requested_by bigint references users,
    -- Who bills: a row that never changes.
    seller_id bigint not null references seller,
    -- Customers with something to bill when the run began.
    customers integer not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    constraint bill_run_customers check (customers >= 0),
    constraint bill_run_customer_whole check (user_id is null or finished_at is not null)
);
-- Numbers are given in order, so a run ends before the next one begins.
create unique index bill_run_one_open on bill_run ((true)) where finished_at is null;
create index bill_run_as_of on bill_run (as_of);

-- Shares of a run: customers by id. The cursor moves in the transaction that bills a batch.
create table bill_run_part (
    run_id bigint not null references bill_run on delete cascade,
    part smallint not null,
    -- Customers with ids in (after_user_id, last_user_id] are still to be looked at.
    after_user_id bigint not null,
    last_user_id bigint not null,
    done boolean not null default false,
    -- Customers looked at.
    customers_done integer not null default 0,
    primary key (run_id, part),
    constraint bill_run_part_span check (after_user_id <= last_user_id and customers_done >= 0)
) with (fillfactor = 50);

-- Customers that a run could not bill, and what is to be done about it.
create table bill_run_problem (
    run_id bigint not null references bill_run on delete cascade,
    user_id bigint not null references users,
    code text not null,
    detail text not null,
    primary key (run_id, user_id)
);

create table bill (
    bill_id bigint generated always as identity primary key,
    run_id bigint not null references bill_run,
    user_id bigint not null references users,
    currency text not null,
    -- The run's time. It never enters a calculation.
    issued_at timestamptz(0) not null,
    -- The customer's address then: a row that never changes.
    address_id bigint not null references billing_address,
    net_cents bigint not null,
    tax_cents bigint not null,
    gross_cents bigint not null,
    -- What paying in coins adds or takes away.
    rounding_cents bigint not null default 0,
    payable_cents bigint not null,
    document text not null generated always as (case when gross_cents < 0 then 'credit_note' else 'invoice' end) stored,
    constraint bill_customer_date_key unique (user_id, currency, issued_at),
    constraint bill_currency_form check (currency ~ '^[A-Z]{3}$'),
    constraint bill_gross check (gross_cents = net_cents + tax_cents),
    constraint bill_payable check (payable_cents = gross_cents + rounding_cents and rounding_cents between -2 and 2)
);
create index bill_of_run on bill (run_id);
create trigger bill_final before update or delete on bill for each row execute function refuse_change();

-- A bill is a draft until it has its number. Gapless in each year (of the seller's zone), which is what auditors ask for.
create table bill_number (
    bill_id bigint primary key references bill,
    year smallint not null,
    sequence integer not null,
    number text not null generated always as (year::text || '-' || lpad(sequence::text, 6, '0')) stored,
    constraint bill_number_key unique (year, sequence),
    constraint bill_number_sequence check (sequence >= 1)
);
create trigger bill_number_final before update or delete on bill_number for each row execute function refuse_change();

-- A line that staff add by hand.
create table bill_manual_line (
    line_id bigint generated always as identity primary key,
    user_id bigint not null references users,
    currency text not null,
    description text not null,
    -- Negative: in the customer's favour.
    net_cents bigint not null,
    -- Decides the VAT rate.
    service_at timestamptz(0) not null,
    reason text not null,
    author bigint not null references users,
    created_at timestamptz not null default now(),
    billed boolean not null default false,
    constraint bill_manual_line_currency_form check (currency ~ '^[A-Z]{3}$'),
    constraint bill_manual_line_text check (length(description) between 1 and 500 and length(reason) between 1 and 500)
);
create index bill_manual_line_open on bill_manual_line (user_id) where not billed;
create trigger bill_manual_line_final before delete or update of
    user_id, currency, description, net_cents, service_at, reason, author, created_at
    on bill_manual_line for each row execute function refuse_change();

create table bill_record (
    bill_id bigint not null references bill,
    position integer not null,
    kind text not null,
    order_id bigint,
    manual_line_id bigint references bill_manual_line,
    -- Half-open; an instant for what is charged once.
    span_from timestamptz(0) not null,
    span_to timestamptz(0) not null,
    -- Recurring: the end of the order's record before; null: this is the first.
    prev_to timestamptz(0),
    -- Recurring and credit: the length of a whole period, so that seconds / period_seconds is the quantity.
    period_seconds integer,
    net_cents bigint not null,
    -- UNCL 5305: S taxed, AE reverse charge, O outside scope.
    vat_category text not null,
    vat_rate_ppm integer not null,

    charge_from timestamptz(0) generated always as (case kind when 'recurring' then span_from end) stored,
    charge_to timestamptz(0) generated always as (case kind when 'recurring' then span_to end) stored,
    first_from timestamptz(0) generated always as (case when kind = 'recurring' and prev_to is null then span_from end) stored,
    credit_to timestamptz(0) generated always as (case kind when 'credit' then span_to end) stored,
    other_order_id bigint generated always as (case when kind <> 'recurring' then order_id end) stored,

    primary key (bill_id, position),
    -- One chain for each order: it begins where the order does, each record begins where the one before ends, and from
    -- no point do two go on. So nothing overlaps and nothing is left out.
    constraint bill_record_charge_to_key unique (order_id, charge_to),
    constraint bill_record_charge_from_key unique (order_id, charge_from),
    constraint bill_record_chain check (prev_to = span_from),
    constraint bill_record_chain_fkey foreign key (order_id, prev_to) references bill_record (order_id, charge_to),
    constraint bill_record_start_fkey foreign key (order_id, first_from) references orders (order_id, starts_at),
    -- A credit takes back the end of one charge.
    constraint bill_record_credit_fkey foreign key (order_id, credit_to) references bill_record (order_id, charge_to),
    constraint bill_record_order_fkey foreign key (other_order_id) references orders,
    constraint bill_record_kind check (case kind
        when 'recurring' then order_id is not null and span_from < span_to and period_seconds > 0 and net_cents >= 0
        when 'credit' then order_id is not null and span_from < span_to and period_seconds > 0 and net_cents <= 0 and prev_to is null
        when 'one_time' then order_id is not null and span_from = span_to and net_cents > 0 and num_nonnulls(prev_to, period_seconds) = 0
        when 'manual' then span_from = span_to and num_nonnulls(order_id, prev_to, period_seconds) = 0
        else false end),
    constraint bill_record_manual check ((kind = 'manual') = (manual_line_id is not null)),
    constraint bill_record_vat check (vat_category in ('S', 'AE', 'O') and vat_rate_ppm between 0 and 1000000
        and (vat_category = 'S' or vat_rate_ppm = 0))
);
create unique index bill_record_one_time_key on bill_record (order_id) where kind = 'one_time';
create unique index bill_record_credit_key on bill_record (order_id, credit_to) where kind = 'credit';
create unique index bill_record_manual_key on bill_record (manual_line_id) where kind = 'manual';
create trigger bill_record_final before update or delete on bill_record for each row execute function refuse_change();

-- A credit lies inside its charge, at its rate.
create function credit_fits_charge() returns trigger language plpgsql as $$
begin
    if not exists (
        select from bill_record charge
        where charge.order_id = new.order_id and charge.charge_to = new.span_to and charge.span_from <= new.span_from
            and charge.vat_category = new.vat_category and charge.vat_rate_ppm = new.vat_rate_ppm
            and charge.net_cents >= -new.net_cents)
    then
        raise exception 'the credit for order % does not fit the charge that it takes back', new.order_id
            using errcode = 'integrity_constraint_violation', constraint = 'bill_record_credit_fits';
    end if;
    return null;
end $$;
create constraint trigger bill_record_credit_fits after insert on bill_record
    for each row when (new.kind = 'credit') execute function credit_fits_charge();

-- VAT is rounded once for each category and rate of a bill.
create table bill_vat (
    bill_id bigint not null references bill,
    category text not null,
    rate_ppm integer not null,
    base_cents bigint not null,
    tax_cents bigint not null,
    primary key (bill_id, category, rate_ppm),
    -- Half away from zero; Postgres rounds numeric like that.
    constraint bill_vat_tax check (tax_cents = round(base_cents::numeric * rate_ppm / 1000000))
);
create trigger bill_vat_final before update or delete on bill_vat for each row execute function refuse_change();

-- A bill that has its number gets no further lines.
create function refuse_numbered() returns trigger language plpgsql as $$
begin
    if exists (select from added join bill_number using (bill_id)) then
        raise exception 'a bill that is issued is final'
            using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_issued';
    end if;
    return null;
end $$;
create trigger bill_record_issued after insert on bill_record
    referencing new table as added for each statement execute function refuse_numbered();
create trigger bill_vat_issued after insert on bill_vat
    referencing new table as added for each statement execute function refuse_numbered();

-- Numbers go on where they stopped, and only to bills whose lines add up. For a whole run at once: row by row it would
-- take longer than the run.
create function bills_are_sound() returns trigger language plpgsql as $$
declare
    wrong bigint;
begin
    if exists (
        select from (select year, min(sequence) as first, max(sequence) as last, count(*) as numbers from added group by year) given
        where last - first + 1 <> numbers
            or first <> 1 + coalesce((select max(sequence) from bill_number earlier where earlier.year = given.year and earlier.sequence < given.first), 0))
    then
        raise exception 'bill numbers have no gaps'
            using errcode = 'integrity_constraint_violation', constraint = 'bill_number_gapless';
    end if;
    select bill_id into wrong
    from added join bill using (bill_id)
    left join (
        select bill_id, sum(base) as base, sum(tax) as tax, bool_and(fits) as fits
        from (select bill_id, coalesce(vat.base_cents, 0) as base, coalesce(vat.tax_cents, 0) as tax,
                     vat.base_cents is not distinct from record.net as fits
              from (select bill_id, vat_category as category, vat_rate_ppm as rate_ppm, sum(net_cents) as net
                    from bill_record join added using (bill_id) group by 1, 2, 3) record
              full join (select bill_vat.* from bill_vat join added using (bill_id)) vat using (bill_id, category, rate_ppm)) groups
        group by bill_id) total using (bill_id)
    where fits is not true or base <> net_cents or tax <> tax_cents
    limit 1;
    if found then
        raise exception 'the totals of bill % are not those of its records', wrong
            using errcode = 'integrity_constraint_violation', constraint = 'bill_totals';
    end if;
    return null;
end $$;
create trigger bill_totals after insert on bill_number
    referencing new table as added for each statement execute function bills_are_sound();
