-- The parties of a bill: the seller, the customers' addresses, and the VAT between them.

-- Refuses changes of rows that documents rely on.
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% of % refused: its rows are final', lower(tg_op), tg_table_name
        using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_final';
end $$;

-- The seller's own details. A change is a new row, so that a bill keeps the row that it was made with.
create table seller (
    seller_id bigint generated always as identity primary key,
    name text not null,
    street text not null,
    postal_code text not null,
    city text not null,
    -- ISO 3166-1 alpha-2; decides which VAT law applies to the seller.
    country text not null,
    vat_number text,
    -- The IANA time zone of calendar periods and of the year in bill numbers.
    time_zone text not null,
    -- Registered for the EU's one-stop shop: EU customers pay the VAT of their own country. Otherwise the EU is out of scope.
    oss_eu boolean not null,
    -- Amounts due in CHF are rounded to multiples of this; the smallest coin is 5. Null: they are not rounded.
    cash_rounding_cents integer,
    created_at timestamptz not null default now(),
    created_by bigint references users,

    constraint seller_country_form check (country ~ '^[A-Z]{2}$'),
    constraint seller_name_form check (length(name) between 1 and 200),
    constraint seller_cash_rounding check (cash_rounding_cents = 5)
);
create trigger seller_final before update or delete on seller for each row execute function refuse_change();
-- Row triggers do not fire on `truncate`.
create trigger seller_kept before truncate on seller for each statement execute function refuse_change();
call audit_table('seller', 'seller', 'seller_id');

-- The address of a customer's bills. Here, too, a change is a new row: a bill names the row that it was made with.
create table billing_address (
    address_id bigint generated always as identity primary key,
    user_id bigint not null references users,
    name text not null,
    -- Set: a business. Private customers are taxed where they live.
    company text,
    street text not null,
    postal_code text not null,
    city text not null,
    country text not null,
    vat_number text,
    -- The right form proves nothing: staff verify a VAT number and note the evidence.
    vat_verified_at timestamptz,
    vat_verified_by bigint references users,
    vat_evidence text,
    created_at timestamptz not null default now(),
    created_by bigint references users,
    -- Set: the customer has a newer row.
    replaced_at timestamptz,

    constraint billing_address_country_form check (country ~ '^[A-Z]{2}$'),
    constraint billing_address_name_form check (length(name) between 1 and 200),
    constraint billing_address_vat_number_form check (vat_number ~ '^[A-Z0-9]{4,20}$'),
    constraint billing_address_vat_number_business check (vat_number is null or company is not null),
    constraint billing_address_vat_verified check (
        num_nonnulls(vat_verified_at, vat_evidence) in (0, 2)
        and (vat_verified_at is null or vat_number is not null)),
    -- The target of a bill's key: a bill goes to an address of its own customer.
    constraint billing_address_owner_key unique (address_id, user_id)
);
create unique index billing_address_current on billing_address (user_id) where replaced_at is null;
-- All columns but `replaced_at`.
create trigger billing_address_final before delete or update of
    user_id, name, company, street, postal_code, city, country, vat_number, vat_verified_at, vat_verified_by, vat_evidence,
    created_at, created_by
    on billing_address for each row execute function refuse_change();
create trigger billing_address_kept before truncate on billing_address for each statement execute function refuse_change();
call audit_table('billing_address', 'billing_address', 'address_id');

-- Standard rates of VAT by territory and local date.
create table vat_rate (
    -- ISO 3166-1 alpha-2 of the territory.
    territory text not null,
    -- Local civil dates of the territory: the first day with the rate, and the first day without it.
    starts_on date not null,
    ends_on date,
    -- Parts per million: 81000 is 8.1 %.
    rate_ppm integer not null,
    time_zone text not null,
    -- Where the rate was published.
    source text not null,
    primary key (territory, starts_on),
    constraint vat_rate_territory_form check (territory ~ '^[A-Z]{2}$'),
    constraint vat_rate_dates check (ends_on > starts_on),
    constraint vat_rate_ppm check (rate_ppm between 0 and 1000000),
    -- A territory has one rate at a time. Territory and day are one number here, because PostgreSQL excludes overlapping ranges
    -- of numbers without an extension; the days of one territory never reach into the next one's.
    constraint vat_rate_overlap exclude using gist (
        int8range((ascii(territory) * 256 + ascii(substr(territory, 2))) * 10000000::bigint + (starts_on - date '0001-01-01'),
                  (ascii(territory) * 256 + ascii(substr(territory, 2))) * 10000000::bigint
                      + coalesce(ends_on - date '0001-01-01', 9999999)) with &&)
);
call audit_table('vat_rate', 'vat_rate', 'territory');
