-- Bills. The chain of bill records makes it impossible to bill a second twice or to leave one out. Bills and what they consist
-- of are final, so the audit log only has what people decide: the runs and the manual lines.

-- One pass of bill generation as of a time.
create table bill_run (
    run_id bigint generated always as identity primary key,
    as_of timestamptz(0) not null,
    -- Null: all customers. Otherwise staff's bill for one customer, which is made in one transaction.
    user_id bigint references users,
    requested_by bigint references users,
    -- The seller's details on its bills: a row that never changes.
    seller_id bigint not null references seller,
    -- The number of customers with something to bill when the run started.
    customers integer not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    constraint bill_run_customers check (customers >= 0),
    constraint bill_run_customer_whole check (user_id is null or finished_at is not null),
    -- The target of the bills' key: a bill has its run's time.
    constraint bill_run_as_of_key unique (run_id, as_of)
);
-- Bill numbers are given in order, so a run ends before the next one starts.
create unique index bill_run_one_open on bill_run ((true)) where finished_at is null;
create index bill_run_as_of on bill_run (as_of);
call audit_table('bill_run', 'bill_run', 'run_id', 'customers_done', 'finished_at');

-- The shares of a run: customers by id. The transaction that bills a batch moves the cursor.
create table bill_run_part (
    run_id bigint not null references bill_run on delete cascade,
    part smallint not null,
    -- The customers with ids in (after_user_id, last_user_id] remain to be looked at.
    after_user_id bigint not null,
    last_user_id bigint not null,
    done boolean not null default false,
    -- The number of customers already looked at.
    customers_done integer not null default 0,
    primary key (run_id, part),
    constraint bill_run_part_span check (after_user_id <= last_user_id and customers_done >= 0)
) with (fillfactor = 50);

-- The customers that a run could not bill, and what to do about it.
create table bill_run_problem (
    run_id bigint not null references bill_run on delete cascade,
    user_id bigint not null references users,
    code text not null,
    detail text not null,
    primary key (run_id, user_id)
);

create table bill (
    bill_id bigint generated always as identity primary key,
    run_id bigint not null,
    user_id bigint not null,
    currency text not null,
    -- The run's time. It never enters a calculation.
    issued_at timestamptz(0) not null,
    -- The customer's address at that time: a row that never changes.
    address_id bigint not null,
    net_cents bigint not null,
    tax_cents bigint not null,
    gross_cents bigint not null,
    -- The amount that rounding to coins adds or takes away.
    rounding_cents bigint not null default 0,
    payable_cents bigint not null,
    document text not null generated always as (case when gross_cents < 0 then 'credit_note' else 'invoice' end) stored,
    constraint bill_customer_date_key unique (user_id, currency, issued_at),
    constraint bill_currency_form check (currency ~ '^[A-Z]{3}$'),
    constraint bill_gross check (gross_cents = net_cents + tax_cents),
    constraint bill_payable check (payable_cents = gross_cents + rounding_cents and rounding_cents between -2 and 2),
    -- With the second column each: an address of the bill's own customer, and the time of the bill's own run. That the user,
    -- the address and the run exist follows from them.
    constraint bill_address_fkey foreign key (address_id, user_id) references billing_address (address_id, user_id),
    constraint bill_run_fkey foreign key (run_id, issued_at) references bill_run (run_id, as_of)
);
create index bill_of_run on bill (run_id);
create trigger bill_final before update or delete on bill for each row execute function refuse_change();
-- Row triggers do not fire on `truncate`.
create trigger bill_kept before truncate on bill for each statement execute function refuse_change();

-- The numbers of bills; a bill without one is a draft. Without a gap in each year (of the seller's time zone): auditors
-- require that.
create table bill_number (
    bill_id bigint primary key references bill,
    year smallint not null,
    sequence integer not null,
    -- Six digits, and more from the millionth bill of a year on.
    number text not null
        generated always as (year::text || '-' || lpad(sequence::text, greatest(6, length(sequence::text)), '0')) stored,
    constraint bill_number_key unique (year, sequence),
    constraint bill_number_sequence check (sequence >= 1),
    constraint bill_number_number_key unique (number)
);
create trigger bill_number_final before update or delete on bill_number for each row execute function refuse_change();
create trigger bill_number_kept before truncate on bill_number for each statement execute function refuse_change();

-- Lines that staff add.
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
    -- Staff may take a line back before it is billed. The row stays: a promise to a customer must not vanish.
    withdrawn_at timestamptz,
    withdrawn_by bigint references users,
    constraint bill_manual_line_currency_form check (currency ~ '^[A-Z]{3}$'),
    constraint bill_manual_line_text check (length(description) between 1 and 500 and length(reason) between 1 and 500),
    constraint bill_manual_line_withdrawn check (
        num_nonnulls(withdrawn_at, withdrawn_by) in (0, 2) and not (billed and withdrawn_at is not null)),
    constraint bill_manual_line_not_zero check (net_cents <> 0)
);
-- The lines that bill runs read.
create index bill_manual_line_open on bill_manual_line (user_id) where not billed and withdrawn_at is null;
create index bill_manual_line_user on bill_manual_line (user_id, line_id);
create trigger bill_manual_line_final before delete or update of
    user_id, currency, description, net_cents, service_at, reason, author, created_at
    on bill_manual_line for each row execute function refuse_change();
create trigger bill_manual_line_kept before truncate on bill_manual_line for each statement execute function refuse_change();
call audit_table('bill_manual_line', 'bill_manual_line', 'line_id', 'billed');

-- The lines of bills.
create table bill_record (
    bill_id bigint not null references bill,
    position integer not null,
    kind text not null,
    order_id bigint,
    manual_line_id bigint references bill_manual_line,
    -- Half-open; an instant for what is charged once.
    span_from timestamptz(0) not null,
    span_to timestamptz(0) not null,
    -- Of a recurring record: the end of the order's record before it. Null: this is the first one.
    prev_to timestamptz(0),
    -- Of a recurring record and a credit: the length of a whole period; the quantity is seconds / period_seconds.
    period_seconds integer,
    net_cents bigint not null,
    -- UNCL 5305: S taxed, AE reverse charge, O out of scope.
    vat_category text not null,
    vat_rate_ppm integer not null,

    -- The columns of the keys below: each has a value only in the records that its key is for.
    charge_from timestamptz(0) generated always as (case kind when 'recurring' then span_from end) stored,
    charge_to timestamptz(0) generated always as (case kind when 'recurring' then span_to end) stored,
    first_from timestamptz(0) generated always as (case when kind = 'recurring' and prev_to is null then span_from end) stored,
    credit_to timestamptz(0) generated always as (case kind when 'credit' then span_to end) stored,
    other_order_id bigint generated always as (case when kind <> 'recurring' then order_id end) stored,

    primary key (bill_id, position),
    -- One chain for each order: it begins when the order does, each record begins when the one before it ends, and two records
    -- never continue the same one. So nothing overlaps and nothing is left out.
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
        when 'credit' then order_id is not null and span_from < span_to and period_seconds > 0 and net_cents <= 0
            and prev_to is null
        when 'one_time' then order_id is not null and span_from = span_to and net_cents > 0
            and num_nonnulls(prev_to, period_seconds) = 0
        when 'manual' then span_from = span_to and num_nonnulls(order_id, prev_to, period_seconds) = 0
        else false end),
    constraint bill_record_manual check ((kind = 'manual') = (manual_line_id is not null)),
    constraint bill_record_vat check (vat_category in ('S', 'AE', 'O') and vat_rate_ppm between 0 and 1000000
        and (vat_category = 'S' or vat_rate_ppm = 0))
);
-- A one-time price, the end of a charge and a manual line are billed, or credited, once.
create unique index bill_record_one_time_key on bill_record (order_id) where kind = 'one_time';
create unique index bill_record_credit_key on bill_record (order_id, credit_to) where kind = 'credit';
create unique index bill_record_manual_key on bill_record (manual_line_id) where kind = 'manual';
create trigger bill_record_final before update or delete on bill_record for each row execute function refuse_change();
create trigger bill_record_kept before truncate on bill_record for each statement execute function refuse_change();

-- The VAT of a bill, rounded once for each category and rate.
create table bill_vat (
    bill_id bigint not null references bill,
    category text not null,
    rate_ppm integer not null,
    base_cents bigint not null,
    tax_cents bigint not null,
    primary key (bill_id, category, rate_ppm),
    -- Half away from zero, as PostgreSQL rounds numeric.
    constraint bill_vat_tax check (tax_cents = round(base_cents::numeric * rate_ppm / 1000000))
);
create trigger bill_vat_final before update or delete on bill_vat for each row execute function refuse_change();
create trigger bill_vat_kept before truncate on bill_vat for each statement execute function refuse_change();

-- Refuses a credit that is not inside its charge, at the charge's VAT rate.
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

-- Refuses lines of another customer or in another currency than their bill, and charges after the end of their order.
create function record_fits_bill() returns trigger language plpgsql as $$
declare
    wrong record;
begin
    select added.bill_id, order_id, whose.wrong as of_another
    into wrong
    from added join bill using (bill_id) left join orders using (order_id)
        left join bill_manual_line line on line_id = manual_line_id
        cross join lateral (
            select (bill.user_id, bill.currency)
                is distinct from (coalesce(orders.user_id, line.user_id), coalesce(orders.currency, line.currency)) as wrong) whose
    where whose.wrong or (kind = 'recurring' and span_to > billing_ends_at)
    limit 1;
    if not found then
        return null;
    elsif wrong.of_another then
        raise exception 'bill % has a line that is another customer''s or in another currency', wrong.bill_id
            using errcode = 'integrity_constraint_violation', constraint = 'bill_record_owner';
    end if;
    raise exception 'order % is charged after its end', wrong.order_id
        using errcode = 'integrity_constraint_violation', constraint = 'bill_record_past_end';
end $$;
create trigger bill_record_fits after insert on bill_record
    referencing new table as added for each statement execute function record_fits_bill();

-- Refuses further lines of a bill that has its number.
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

-- Refuses numbers that leave a gap, and numbers of bills whose totals are not those of their lines. Once for a whole run: row
-- by row it would take longer than the run. The totals are compared without a join whose size the planner has to guess: guessed
-- too small, 40,000 bills took 24 seconds instead of one.
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
    from (
        -- What is taxed alike: its lines, and the one row of VAT that sums them up.
        select bill_id, sum(base) as base, sum(tax) as tax, sum(net) = sum(base) and sum(lines) > 0 and sum(groups) = 1 as fits, 1 as parts,
               0::numeric as bill_net, 0::numeric as bill_tax
        from (
            select bill_id, vat_category as category, vat_rate_ppm as rate_ppm, net_cents as net, 0::bigint as base,
                   0::bigint as tax, 1 as lines, 0 as groups
            from bill_record join added using (bill_id)
            union all
            select bill_id, category, rate_ppm, 0, base_cents, tax_cents, 0, 1
            from bill_vat join added using (bill_id)) part
        group by bill_id, category, rate_ppm
        union all
        select bill_id, 0, 0, true, 0, net_cents, tax_cents from bill join added using (bill_id)) sums
    group by bill_id
    having not bool_and(fits) or sum(parts) = 0 or sum(base) <> sum(bill_net) or sum(tax) <> sum(bill_tax)
    limit 1;
    if found then
        raise exception 'the totals of bill % are not those of its records', wrong
            using errcode = 'integrity_constraint_violation', constraint = 'bill_totals';
    end if;
    return null;
end $$;
create trigger bill_totals after insert on bill_number
    referencing new table as added for each statement execute function bills_are_sound();
