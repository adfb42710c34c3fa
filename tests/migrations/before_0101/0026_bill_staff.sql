-- What staff take back before it is billed stays with who did it: a promise to a customer can't vanish.
alter table bill_manual_line
    add column withdrawn_at timestamptz,
    add column withdrawn_by bigint references users,
    add constraint bill_manual_line_withdrawn check (
        num_nonnulls(withdrawn_at, withdrawn_by) in (0, 2) and not (billed and withdrawn_at is not null)),
    add constraint bill_manual_line_not_zero check (net_cents <> 0);

-- Runs read these, and only these.
drop index bill_manual_line_open;
create index bill_manual_line_open on bill_manual_line (user_id) where not billed and withdrawn_at is null;
create index bill_manual_line_user on bill_manual_line (user_id, line_id);

-- Row triggers do not see `truncate`.
create trigger seller_kept before truncate on seller for each statement execute function refuse_change();
create trigger billing_address_kept before truncate on billing_address for each statement execute function refuse_change();
create trigger orders_kept before truncate on orders for each statement execute function refuse_change();
create trigger order_part_kept before truncate on order_part for each statement execute function refuse_change();
create trigger bill_kept before truncate on bill for each statement execute function refuse_change();
create trigger bill_number_kept before truncate on bill_number for each statement execute function refuse_change();
create trigger bill_record_kept before truncate on bill_record for each statement execute function refuse_change();
create trigger bill_vat_kept before truncate on bill_vat for each statement execute function refuse_change();
create trigger bill_manual_line_kept before truncate on bill_manual_line for each statement execute function refuse_change();

-- Everybody is billed on the first of each month, by the seller's clock. Staff move or pause it (`uncloud schedule`).
insert into schedule (name, kind, cron, time_zone, next_run_at)
select 'bill-run', 'bill_run', '0 1 1 * *', zone,
       (date_trunc('month', now() at time zone zone) + interval '1 month 1 hour') at time zone zone
from (select coalesce((select time_zone from seller order by seller_id desc limit 1), 'Europe/Zurich') as zone) as seller;
