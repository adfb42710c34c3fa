-- A bill goes to an address of its own customer, and has its run's time. Each takes the place of a check that cost as much
-- and promised less.
alter table billing_address add constraint billing_address_owner_key unique (address_id, user_id);
alter table bill_run add constraint bill_run_as_of_key unique (run_id, as_of);
alter table bill
    drop constraint bill_user_id_fkey,
    drop constraint bill_address_id_fkey,
    drop constraint bill_run_id_fkey,
    add constraint bill_address_fkey foreign key (address_id, user_id) references billing_address (address_id, user_id),
    add constraint bill_run_fkey foreign key (run_id, issued_at) references bill_run (run_id, as_of);

-- The same look at new lines, once instead of twice.
create or replace function record_fits_bill() returns trigger language plpgsql as $$
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
