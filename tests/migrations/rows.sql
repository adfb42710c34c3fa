-- At least one row of each table, in a database whose schema ends at migration 0038: a provider with a network, orders, a bill,
-- jobs. New migrations run over these rows too. Ids are counted: each comment names those that other rows refer to.

-- 1 admin and 2 alice, whose password is `correct horse battery`, 3 bob of the directory.
insert into users (username, staff_by_hand, password_hash, created_at)
    values ('admin', true,
        '$argon2id$v=19$m=19456,t=2,p=1$LdvFaL58bdqlpszNIA369Q$JhYwSA/OHr5TFdZsZ4QNt1k3jm/Gr7vGyEjt6y3CYrE', '2025-12-01Z');
insert into users (username, staff_by_directory, vpn_quota, locked, password_hash, created_at)
    select 'alice', false, 8, false, password_hash, '2025-12-02Z' from users;
insert into users (username, staff_by_directory, vpn_quota, locked, created_at)
    values ('bob', true, 2, true, '2025-12-03Z');
insert into token (user_id, name, secret_hash, prefix, scopes, expires_at, last_used_at, created_at)
    values (2, 'backup script', decode(repeat('a1', 32), 'hex'), 'unc_AbCd-f_2', '{read,write}', '2026-12-01Z', '2026-01-05Z',
        '2026-01-01Z');

-- Job 1 succeeded, 2 runs, 3 failed, 4 was superseded by 5, which waits for 2; 6 is a revoked one.
insert into job (queue, kind, payload, state, attempt, dispatched_at, seen_at, finished_at, running_at, took_ms, worker, result,
        request_id, created_at, run_at)
    values ('vpn-1.example.ch', 'vpn_apply', '{"pool_id": 1}', 'succeeded', 1, '2026-01-01 00:00:01Z', '2026-01-01 00:00:02Z',
        '2026-01-01 00:00:03Z', '2026-01-01 00:00:02Z', 900, 'w1', '{"generation": 7}', 'r-1', '2026-01-01Z', '2026-01-01Z');
insert into job (queue, kind, payload, state, attempt, delivery, dispatched_at, seen_at, running_at, worker, progress, unique_key,
        serial_key, soft_limit_ms, revoke_requested_at)
    values ('billing', 'bill_run', '{}', 'running', 2, 2, '2026-02-01 00:00:01Z', '2026-02-01 00:00:09Z', '2026-02-01 00:00:02Z',
        'w2', '{"done": 1}', 'bill_run', 'bills', 5000, '2026-02-01 00:00:08Z');
insert into job (queue, kind, payload, state, attempt, failures, dispatched_at, seen_at, finished_at, error)
    values ('vpn-1.example.ch', 'vpn_apply', '{"pool_id": 1}', 'failed', 8, 8, '2026-01-03 00:00:01Z', '2026-01-03 00:00:02Z',
        '2026-01-03 00:00:03Z', 'wg: no such device');
insert into job (queue, kind, payload, unique_key, waits_for, parents, priority)
    values ('vpn-1.example.ch', 'vpn_apply', '{"pool_id": 1}', 'old', 0, 0, 9),
        ('vpn-1.example.ch', 'vpn_apply', '{"pool_id": 1}', 'new', 1, 1, 9);
update job set state = 'superseded', superseded_by = 5, finished_at = '2026-01-04Z' where job_id = 4;
insert into job (queue, kind, payload) values ('vpn-1.example.ch', 'vpn_status', '{}');
update job set state = 'revoked', finished_at = '2026-01-05Z' where job_id = 6;
insert into job_requester (job_id, user_id) values (1, 2), (2, 1);
insert into job_parent (job_id, parent_id, needed) values (5, 2, true);
insert into job_attempt (job_id, attempt, outcome, dispatched_at, ended_at, worker, error, running_at, took_ms)
    values (2, 1, 'lost', '2026-02-01Z', '2026-02-01 00:00:01Z', 'w1', 'the worker is gone', '2026-02-01Z', 1000);
insert into job_queue (queue, paused_at, rate_limit, rate_period_secs, tokens, tokens_at, ping_at, pinged_at)
    values ('vpn-1.example.ch', '2026-01-06Z', 10, 60, 2.5, '2026-01-06Z', '2026-01-06Z', '2026-01-06Z');
insert into worker (queue, instance, name, version, concurrency, active, kinds, started_at, succeeded, failed, leases_lost,
        rss_bytes, seen_at)
    values ('vpn-1.example.ch', 'i1', 'w1', '0.1.0', 4, '[]', '{vpn_apply}', '2026-01-01Z', 1, 8, 0, 14000000, '2026-01-06Z');
update worker set concurrency_wanted = 2;

-- Schedules 1 to 3 are there from the start; 4 is the provider's own. Staff ran the first one.
insert into schedule (name, kind, payload, every_secs, paused_at, priority, max_failures, hard_limit_secs, keep_secs)
    values ('nightly', 'vpn_reconcile', '{}', 86400, '2026-01-06Z', 3, 5, 600, 3600);
update schedule set last_due_at = '2026-01-02 03:17Z', last_run_at = '2026-01-02 03:17Z', last_job_id = 1 where schedule_id = 1;
update schedule set last_run_at = '2026-01-02 04:00Z' where schedule_id = 1;
insert into schedule_tick (schedule_id, due_at, ran_at, job_id) values (1, '2026-01-02 03:17Z', '2026-01-02 03:17:01Z', 1);

-- Seller 1; alice's addresses 1 (replaced) and 2, bob's 3.
insert into seller (name, street, postal_code, city, country, vat_number, time_zone, oss_eu, cash_rounding_cents, created_at,
        created_by)
    values ('ungleich glarus ag', 'Bahnhofstrasse 1', '8783', 'Linthal', 'CH', 'CHE109549333', 'Europe/Zurich', false, 5,
        '2025-12-01Z', 1);
insert into billing_address (user_id, name, street, postal_code, city, country, created_at, created_by, replaced_at)
    values (2, 'Alice', 'Seestrasse 1', '8001', 'Zurich', 'CH', '2025-12-02Z', 2, '2025-12-05Z');
insert into billing_address (user_id, name, company, street, postal_code, city, country, vat_number, vat_verified_at,
        vat_verified_by, vat_evidence, created_at, created_by)
    values (2, 'Alice', 'Alice AG', 'Seestrasse 2', '8001', 'Zurich', 'CH', 'CHE123456789', '2025-12-06Z', 1, 'uid.admin.ch',
        '2025-12-05Z', 2),
    (3, 'Bob', null, 'Dorfstrasse 3', '8750', 'Glarus', 'CH', null, null, null, null, '2025-12-05Z', 3);
insert into vat_rate (territory, starts_on, ends_on, rate_ppm, time_zone, source)
    values ('CH', '2018-01-01', '2024-01-01', 77000, 'Europe/Zurich', 'ESTV'),
        ('CH', '2024-01-01', null, 81000, 'Europe/Zurich', 'ESTV');

-- Period 1; products 1 (VPN), 2 (VM), 3 (IPv4 address) and the bundle 4 of the last two; prices 1 to 3.
insert into recurring_period (unit, count) values ('day', 30);
insert into product (name, title, description, delivery, billing, bundle, sale_from, sale_until, created_at) values
    ('vpn', 'VPN network', 'An IPv6 VPN', 'vpn_network', 'advance', false, '2025-12-01Z', null, '2025-12-01Z'),
    ('vm', 'VM', 'A virtual machine', 'by_hand', 'arrears', false, '2025-12-01Z', null, '2025-12-01Z'),
    ('ipv4', 'IPv4 address', 'One address', 'by_hand', 'advance', false, '2025-12-01Z', '2027-01-01Z', '2025-12-01Z'),
    ('dual-stack-vm', 'Dual-stack VM', 'VM and IPv4', 'by_hand', 'advance', true, '2025-12-01Z', null, '2025-12-01Z');
insert into product_parameter (product_id, name, unit, minimum, maximum, step) values (2, 'cores', 'core', 1, 32, 1);
insert into product_price (product_id, period_id, currency, one_time_cents, recurring_cents, commitment_periods)
    values (1, 1, 'CHF', 0, 1000, 1), (2, 1, 'CHF', 500, 300, 1), (3, null, 'CHF', 800, 0, 0);
insert into product_parameter_price (price_id, product_id, parameter, one_time_cents, recurring_cents)
    values (2, 2, 'cores', 0, 150);
insert into product_requirement (product_id, required_id) values (3, 2);
insert into product_component (bundle_id, component_id, quantity) values (4, 2, 1), (4, 3, 1);

-- Alice's orders: 1 her network, 2 a setup that is paid once, 3 a VM that never came to be; 4 is one that replaced it.
insert into orders (user_id, product_id, description, parameters, currency, one_time_cents, recurring_cents, period_unit,
        period_count, billing, commitment_periods, time_zone, starts_at, ordered_at, ordered_by, billed_through, due_at, deliver_at,
        delivered_at)
    values (2, 1, 'VPN network', '{"network_size": 48}', 'CHF', 0, 1000, 'day', 30, 'advance', 1, 'Europe/Zurich', '2026-01-01Z',
        '2026-01-01Z', 2, '2026-01-31Z', '2026-01-31Z', '2026-01-01Z', '2026-01-01 00:00:03Z');
insert into orders (user_id, description, currency, one_time_cents, recurring_cents, billing, commitment_periods, time_zone,
        starts_at, ordered_at, ordered_by, one_time_billed, closed, deliver_at, delivered_at, delivered_by)
    values (2, 'Setup', 'CHF', 500, 0, 'advance', 0, 'Europe/Zurich', '2026-01-01Z', '2026-01-01Z', 1, true, true,
        '2026-01-01Z', '2026-01-02Z', 1);
insert into orders (user_id, product_id, description, parameters, currency, one_time_cents, recurring_cents, period_unit,
        period_count, billing, commitment_periods, time_zone, starts_at, ordered_at, ordered_by, billing_ends_at, void, closed,
        deliver_at, withdraw_at, withdrawn_at, withdrawn_by)
    values (2, 2, 'VM', '{"cores": 2}', 'CHF', 500, 600, 'day', 30, 'arrears', 1, 'Europe/Zurich', '2026-01-05Z', '2026-01-04Z',
        2, '2026-01-05Z', true, true, '2026-01-05Z', '2026-01-04Z', '2026-01-04Z', 1);
insert into orders (user_id, product_id, description, parameters, currency, one_time_cents, recurring_cents, period_unit,
        period_count, billing, commitment_periods, upgrade_credit, time_zone, starts_at, replaces, ordered_at, ordered_by, due_at,
        deliver_at)
    values (2, 2, 'VM', '{"cores": 4}', 'CHF', 500, 900, 'day', 30, 'arrears', 1, 'none', 'Europe/Zurich', '2027-01-05Z', 3,
        '2026-01-04Z', 2, '2027-01-05Z', '2027-01-05Z');
insert into order_part (order_id, position, product_id, parameter, quantity, one_time_cents, recurring_cents) values
    (1, 1, 1, null, 1, 0, 1000),
    (3, 1, 2, null, 1, 500, 300), (3, 2, 2, 'cores', 2, 0, 150),
    (4, 1, 2, null, 1, 500, 300), (4, 2, 2, 'cores', 4, 0, 150);

-- Pool 1 on vpn-1, which has left vpn-0 and gets a new key; in it alice's network 1, and a prefix that is free again. The
-- private keys kPDTvgGZuL33SP0gfi/jrugtubKfX8gkkcHMxOzPwEU= and
-- CKDZEwtrAjY6TAGaVA1tKDGC9B88z86DV6Ygf6jZbGk= are sealed under a secret key of 32 bytes 0x01.
insert into vpn_pool (network, subnetwork_size, vpn_hostname, private_key, private_key_key_id, public_key, generation,
        applied_generation, changed_generation, used, next_index, job_id, next_private_key, next_private_key_key_id,
        next_public_key, next_key_generation, traffic_at, created_at)
    values ('2001:db8::/40', 48, 'vpn-1.example.ch', 
        decode('e5d4f7fe0364e8d2df865125a9610439046012131847a7d8076f3b8f42f6dd35b234edd292f3a82b96efed816781cdebfaf27724fa42a9614a3afd55', 'hex'),
        '72cd6e84', decode('f21ad9ba7d27f012d6c22978fc7bd71237ffbd603fd979a5a59deee4b81e6a6b', 'hex'), 9, 7, 3, 1, 3, 1,
        decode('fd981e1ee711cb7dec24607929083253de603c16996571cecb0c59eaa14e239b80dd30609d073959ed83307c6c20a8314930bfd5fd0d4bd71ab0f374', 'hex'),
        '72cd6e84', decode('2028a38ba8f049d0b62a19f0715a5dd6fe4a8927f12e53886a9f58e18742ab27', 'hex'), 8, '2026-01-06Z', '2025-12-01Z');
insert into vpn_network (user_id, pool_id, pool_network, subnetwork_size, network, public_key, generation, job_id, created_at,
        order_id)
    values (2, 1, '2001:db8::/40', 48, '2001:db8:2::/48',
        decode('02176880f64e360d9596b10ca58f8eed6296c99ca9d0912eb93625c29b1d877e', 'hex'), 7, 1, '2026-01-01Z', 1);
insert into vpn_free_prefix (pool_id, index) values (1, 1);
insert into vpn_pool_departure (pool_id, vpn_hostname, generation) values (1, 'vpn-0.example.ch', 3);
insert into vpn_network_traffic (network_id, last_handshake_at, received_bytes, sent_bytes) values (1, '2026-01-06Z', 1000, 2000);

-- A credit that staff promised. The bill of 10 January: the network's first 30 days, the setup and that credit.
insert into bill_manual_line (user_id, currency, description, net_cents, service_at, reason, author, created_at, billed) values
    (2, 'CHF', 'Outage of 5 January', -200, '2026-01-05Z', 'ticket 7', 1, '2026-01-06Z', true);
insert into bill_manual_line (user_id, currency, description, net_cents, service_at, reason, author, created_at, withdrawn_at,
        withdrawn_by)
    values (2, 'CHF', 'Outage of 6 January', -300, '2026-01-06Z', 'ticket 8', 1, '2026-01-06Z', '2026-01-07Z', 1);
insert into bill_run (as_of, seller_id, customers, requested_by, started_at, finished_at)
    values ('2026-01-10Z', 1, 1, 1, '2026-01-10Z', '2026-01-10 00:00:01Z');
insert into bill_run_part (run_id, part, after_user_id, last_user_id, done, customers_done) values (1, 1, 3, 3, true, 3);
insert into bill_run_problem (run_id, user_id, code, detail) values (1, 3, 'no_billing_address', 'bob had no address then');
insert into bill (run_id, user_id, currency, issued_at, address_id, net_cents, tax_cents, gross_cents, payable_cents)
    values (1, 2, 'CHF', '2026-01-10Z', 2, 1300, 105, 1405, 1405);
insert into bill_record (bill_id, position, kind, order_id, manual_line_id, span_from, span_to, prev_to, period_seconds, net_cents,
        vat_category, vat_rate_ppm) values
    (1, 1, 'recurring', 1, null, '2026-01-01Z', '2026-01-31Z', null, 2592000, 1000, 'S', 81000),
    (1, 2, 'one_time', 2, null, '2026-01-01Z', '2026-01-01Z', null, null, 500, 'S', 81000),
    (1, 3, 'manual', null, 1, '2026-01-05Z', '2026-01-05Z', null, null, -200, 'S', 81000);
insert into bill_vat (bill_id, category, rate_ppm, base_cents, tax_cents) values (1, 'S', 81000, 1300, 105);
insert into bill_number (bill_id, year, sequence) values (1, 2026, 1);

-- A request with its response, and one whose server died.
insert into idempotency (user_id, key, request_hash, changed, status, location, content_type, body, body_key_id) values
    (2, 'k-1', decode(repeat('d1', 32), 'hex'), true, 201, '/v1/order/1', 'application/json', decode('0506', 'hex'), 'k1'),
    (2, 'k-2', decode(repeat('d2', 32), 'hex'), false, null, null, null, null, null);
