-- Terms of payment, languages, and what documents will show of seller and customer. Bills keep all of it from now on.

alter table seller
    -- The language of bills to customers who have chosen none.
    add column language text not null default 'en',
    -- Days from a bill's issue date to its due date, for customers without terms of their own.
    add column payment_days smallint not null default 30,
    -- The day of the month on which all customers are billed. Null: each order is billed on its own day.
    add column billing_day smallint,
    -- Bills an order in advance when it is placed.
    add column bill_at_order boolean not null default false,
    add column house_number text,
    -- The number in the commercial register (Switzerland: UID), and the one of the EU's one-stop shop.
    add column registration_number text,
    add column oss_number text,
    -- Where electronic invoices are answered, as scheme:identifier (EN 16931, BT-34).
    add column electronic_address text,
    add column contact_name text,
    add column contact_phone text,
    add column contact_email text,
    -- A line at the foot of documents.
    add column footer text,
    -- Accounts, at most one for each currency: [{"currency", "iban", "qr_iban", "bic"}].
    add column accounts jsonb not null default '[]',
    add constraint seller_language check (language in ('de', 'fr', 'it', 'en')),
    add constraint seller_payment_days check (payment_days between 0 and 365),
    add constraint seller_billing_day check (billing_day between 1 and 28);
call audit_table('seller', 'seller', 'seller_id');

drop trigger billing_address_final on billing_address;
alter table billing_address
    add column language text,
    add column house_number text,
    -- Where bills are sent.
    add column email text,
    -- What the customer wants to find on its bills (EN 16931, BT-10 and BT-13).
    add column buyer_reference text,
    add column order_reference text,
    add column electronic_address text,
    add constraint billing_address_language check (language in ('de', 'fr', 'it', 'en'));
-- The addresses of a customer over time, which bill runs read.
create index billing_address_of_user on billing_address (user_id, address_id);
create trigger billing_address_final before delete or update of
    user_id, name, company, street, house_number, postal_code, city, country, vat_number, vat_verified_at, vat_verified_by,
    vat_evidence, language, email, buyer_reference, order_reference, electronic_address, created_at, created_by
    on billing_address for each row execute function refuse_change();
call audit_table('billing_address', 'billing_address', 'address_id');

-- A new installation bills every day: each order on its own day, or everybody once the billing day has come. Where orders
-- are, the schedule stays as it is. No person changes it here, so nothing is written to the audit log.
alter table schedule disable trigger user;
update schedule set cron = '0 1 * * *', next_run_at = case when next_run_at is not null
        then (date_trunc('day', now() at time zone time_zone) + interval '1 day 1 hour') at time zone time_zone end
    where name = 'bill-run' and cron = '0 1 1 * *' and last_due_at is null and not exists (select from orders);
alter table schedule enable trigger user;

-- A customer's own terms of payment, which staff agree on.
alter table users add column payment_days smallint,
    add constraint users_payment_days check (payment_days between 0 and 365);
call audit_table('users', 'user', 'user_id');

-- The names that products and parameters have on bills in other languages: {"de": "title"}, {"de": ["Kern", "Kerne"]}.
alter table product add column titles jsonb not null default '{}';
call audit_table('product', 'product', 'product_id');
alter table product_parameter add column words jsonb not null default '{}';
call audit_table('product_parameter', 'product', 'product_id');
alter table orders add column descriptions jsonb not null default '{}';
call audit_table('orders', 'order', 'order_id');
drop trigger orders_final on orders;
create trigger orders_final before delete or update of
    user_id, product_id, description, descriptions, currency, one_time_micros, recurring_micros, period_unit, period_count,
    billing_mode, commitment_periods, carried_commitment_ends_at, upgrade_credit, time_zone, starts_at, replaces, ordered_at,
    ordered_by
    on orders for each row execute function refuse_change();
