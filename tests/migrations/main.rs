//! The ten migrations make what the 25 before them made, and a database of those goes on under the ten without a change.
//! `before_0101/` has the 25, to the byte; `rows.sql` has rows for each of their tables.

mod database;
mod ledger;
mod serve;

use database::{Contents, Database, old_migrations, succeeded};
use sqlx::{Connection as _, PgConnection, migrate::Migrate as _};

/// Two functions trade their names, and so their bodies.
const TRADE: &str = "alter function refuse_numbered() rename to traded;
    alter function credit_fits_charge() rename to refuse_numbered; alter function traded() rename to credit_fits_charge";

/// Changes of the schema, how to undo them, and what the refusal names.
const CHANGES: [(&str, &str, &str); 9] = [
    (
        "alter table orders drop constraint orders_end",
        "alter table orders add constraint orders_end check (billing_ends_at >= starts_at)",
        "table orders",
    ),
    ("drop index job_failed", "create index job_failed on job (job_id) where state = 'failed'", "index job_failed"),
    ("alter table users disable trigger audit", "alter table users enable trigger audit", "table users"),
    ("alter table bill add note text", "alter table bill drop note", "table bill"),
    ("alter table token alter prefix drop not null", "alter table token alter prefix set not null", "table token"),
    (
        "alter table schedule alter kind set default 'x'",
        "alter table schedule alter kind drop default",
        "table schedule",
    ),
    ("create unique index one_name on seller (name)", "drop index one_name", "table seller"),
    (
        "alter sequence idempotency_attempt increment 2",
        "alter sequence idempotency_attempt increment 1",
        "sequence idempotency_attempt",
    ),
    (TRADE, TRADE, "function credit_fits_charge(), function refuse_numbered(), table bill_record, table bill_vat"),
];

#[tokio::test]
async fn migrate_at_0038_changes_the_records_and_nothing_else() {
    let (old, new) = (Database::old("bridged").await, Database::new("fresh").await);
    let before = old.contents().await;
    for (table, rows) in &before.rows {
        assert!(!rows.is_empty(), "rows.sql has no row of {table}");
    }
    old.cross().await.expect("across");
    let after = old.contents().await;
    assert_eq!(after.schema, before.schema, "the bridge changes no schema");
    assert_eq!(after.schema, new.schema(), "the 25 and the ten make the same");
    assert_eq!(after.rows, before.rows);
    assert_eq!(old.applied().await, new.applied().await);
    old.cross().await.expect("nothing to do");
    assert_eq!(old.contents().await, after, "a second time changes nothing");
}

#[tokio::test]
async fn migrate_of_an_empty_database_adds_the_same_rows_as_before() {
    let (old, new) = (Database::empty("rows_of_the_25").await, Database::new("rows_of_the_ten").await);
    old_migrations().await.run(&old.pool).await.expect("the old migrations");
    // Times are those of the installation, and the first ticks follow from them.
    let schedule = "with seen as (update schedule set created_at = '2026-01-01', next_run_at = '2026-01-02'
            where next_run_at = case kind
                when 'job_cleanup' then created_at + interval '1 hour'
                when 'vpn_reconcile' then (date_trunc('day', created_at at time zone 'UTC')
                    + interval '1 day 3 hours 17 minutes') at time zone 'UTC'
                when 'bill_run' then (date_trunc('month', created_at at time zone 'Europe/Zurich')
                    + interval '1 month 1 hour') at time zone 'Europe/Zurich'
            end returning name)
        select name from seen order by name";
    assert!(new.rows().await["audit"].is_empty(), "no person made them");
    for database in [&old, &new] {
        database.execute("alter table schedule disable trigger user").await;
        assert_eq!(database.texts(schedule).await, ["bill-run", "job-cleanup", "vpn-reconcile"]);
    }
    assert_eq!(old.rows().await, new.rows().await);
}

#[tokio::test]
async fn migrate_over_sample_rows_makes_the_same_schema_as_from_nothing() {
    let (old, new) = (Database::old("up_to_date").await, Database::empty("from_nothing").await);
    old.migrate().await;
    new.migrate().await;
    assert_eq!(old.schema(), new.schema());
    assert_eq!(old.applied().await, new.applied().await);
    let before = old.contents().await;
    old.migrate().await;
    assert_eq!(old.contents().await, before, "a second time changes nothing");
}

#[tokio::test]
async fn migrate_of_renamed_words_changes_values_without_audit_entries() {
    let old = Database::old("words").await;
    old.cross().await.expect("across");
    old.execute(
        "insert into bill_run_problem (run_id, user_id, code, detail) values (1, 1, 'refused_by_database', 'x')",
    )
    .await;
    let entries =
        "select concat_ws(' ', replace(kind, 'manual_line', 'item'), replace(action, 'edit', 'update'), count(*))
        from audit group by kind, action order by 1";
    let before = old.texts(entries).await;
    for of_old_words in ["bill_item create", "worker update"] {
        assert!(before.iter().any(|entry| entry.starts_with(of_old_words)), "{before:?}");
    }
    old.migrate().await;
    let after = "select concat_ws(' ', kind, action, count(*)) from audit group by kind, action order by 1";
    assert_eq!(old.texts(after).await, before);
    let codes = "select code from bill_run_problem order by 1";
    assert_eq!(old.texts(codes).await, ["inconsistent_records", "no_billing_address"]);
    let delivery = "select distinct delivery from product order by 1";
    assert_eq!(old.texts(delivery).await, ["manual", "vpn_network"]);
    // The triggers write the new words, and know the columns that machines change.
    let last = "select concat_ws(' ', kind, action, after) from audit order by audit_id desc limit 1";
    old.execute("update worker set last_seen_at = now(), desired_concurrency = 7").await;
    assert_eq!(old.texts(last).await, ["worker update {\"desired_concurrency\": 7}"]);
    old.execute("update bill_item set voided_by = 2 where voided_at is not null").await;
    assert_eq!(old.texts(last).await, ["bill_item update {\"voided_by\": 2}"]);
}

#[tokio::test]
async fn commands_after_migrate_work_with_existing_rows() {
    let old = Database::old("goes_on").await;
    old.migrate().await;
    let billed = old.uncloud(&["bill", "run", "--customer", "alice", "--as-of", "2026-03-15T00:00:00Z"]).output();
    assert!(succeeded(&billed.expect("uncloud")).contains("CHF"), "two more periods of her network");
    assert_eq!(
        old.texts("select bill_number_text(year, sequence) from bill_number order by 1").await,
        ["2026-000001", "2026-000002"]
    );
    for (args, line) in
        [(["bill", "verify"], "DISCREPANCY"), (["jobs", "ls"], "vpn-1.example.ch"), (["schedule", "ls"], "nightly")]
    {
        let text = succeeded(&old.uncloud(&args).output().expect("uncloud"));
        assert!(text.contains(line), "{args:?}: {text}");
    }
}

#[tokio::test]
async fn migrate_before_0038_refuses_and_changes_nothing() {
    let old = Database::empty("before_0038").await;
    old_migrations().await.run_to(36, &old.pool).await.expect("the old migrations");
    let before = old.contents().await;
    let error = old.cross().await.expect_err("it is too old");
    for part in ["lacks 0037, 0038 of", "`uncloud migrate` of commit be43d43", "then this version again"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(old.contents().await, before);
    old_migrations().await.run(&old.pool).await.expect("as the error says");
    old.cross().await.expect("this version again");
}

#[tokio::test]
async fn migrate_of_a_changed_schema_refuses_and_changes_nothing() {
    let old = Database::old("changed").await;
    let before = old.contents().await;
    for (change, undo, named) in CHANGES {
        old.execute(change).await;
        let error = old.cross().await.expect_err(change);
        assert!(error.contains(&format!("undo the changes of {named}, then start again")), "{change}: {error}");
        old.execute(undo).await;
    }
    assert_eq!(old.contents().await, before);
    old.cross().await.expect("all of it was undone");
}

#[tokio::test]
async fn migrate_beside_an_operators_own_objects_goes_across() {
    let old = Database::old("operated").await;
    old.execute(
        "create role reader; grant select on all tables in schema public to reader;
         create role owner_of_all; alter table job owner to owner_of_all; alter table job owner to uncloud;
         create table notes (job_id bigint references job); create view open_bills as select * from bill;
         create index by_city on billing_address (city); create function twice(n int) returns int return n * 2;
         comment on table orders is 'see the wiki'; alter table job set (autovacuum_vacuum_scale_factor = 0.01);
         create statistics job_states on queue, state from job; alter table audit cluster on audit_pkey;
         alter database operated set datestyle = 'German'; alter database operated set quote_all_identifiers = on",
    )
    .await;
    let Contents { schema, rows, .. } = old.contents().await;
    old.cross().await.expect("across");
    assert_eq!((old.schema(), old.rows().await), (schema, rows));
}

#[tokio::test]
async fn migrate_of_a_restored_database_goes_across() {
    let (old, restored) = (Database::old("dumped").await, Database::empty("restored").await);
    restored.restore(&old);
    let before = restored.rows().await;
    restored.cross().await.expect("across");
    assert_eq!(restored.rows().await, before);
}

#[tokio::test]
async fn migrate_of_unknown_migrations_is_left_to_sqlx() {
    let old = Database::old("unknown").await;
    old.execute("create table kept as select * from _sqlx_migrations").await;
    for (change, said) in [
        ("update _sqlx_migrations set checksum = '\\x00' where version = 38", "previously applied but is missing"),
        ("update _sqlx_migrations set success = false where version = 38", "partially applied"),
        (
            "insert into _sqlx_migrations values (39, 'later', now(), true, '\\x00', 0)",
            "previously applied but is missing",
        ),
    ] {
        old.execute(change).await;
        let before = old.contents().await;
        let error = old.cross().await.expect_err(change);
        assert!(error.contains(said), "{change}: {error}");
        assert_eq!(old.contents().await, before, "{change}");
        old.execute("delete from _sqlx_migrations; insert into _sqlx_migrations select * from kept").await;
    }
    old.cross().await.expect("as it was before");
}

#[tokio::test]
async fn migrate_of_several_at_once_crosses_once() {
    let old = Database::old("several").await;
    let before = old.contents().await;
    let mut holder: PgConnection = old.pool.acquire().await.expect("a connection").detach();
    holder.lock().await.expect("sqlx's lock");
    let older = old_migrations().await;
    let of_an_old_server = async {
        // As with the process of a server, its lock ends with its connection.
        let mut own = old.pool.acquire().await.expect("a connection").detach();
        older.run(&mut own).await
    };
    let all = async { tokio::join!(old.cross(), of_an_old_server, old.cross()) };
    let release = async {
        old.until_waiting(3).await;
        assert_eq!(old.contents().await, before, "without the lock nothing changes");
        holder.unlock().await.expect("unlocked");
    };
    let ((first, of_an_old_server, second), ()) = tokio::join!(all, release);
    first.expect("across");
    second.expect("across, or nothing to do");
    // The old server came first and had nothing to do, or says that it does not know the ten.
    if let Err(error) = of_an_old_server {
        assert!(error.to_string().contains("migration 101 was previously applied but is missing"), "{error}");
    }
    let after = old.contents().await;
    assert_eq!((&after.schema, &after.rows), (&before.schema, &before.rows));
    assert_eq!(old.applied().await, Database::new("once").await.applied().await);
}

#[tokio::test]
async fn migrate_killed_in_the_middle_leaves_all_as_it_was() {
    let old = Database::old("killed").await;
    // Stops it between two of the ten, until the test lets go.
    let mut holder: PgConnection = old.pool.acquire().await.expect("a connection").detach();
    sqlx::query("select pg_advisory_lock(7)").execute(&mut holder).await.expect("a lock");
    old.execute(
        "create function stop_at_105() returns trigger language plpgsql
         as 'begin perform pg_advisory_xact_lock_shared(7); return new; end';
         create trigger stop before insert on _sqlx_migrations
         for each row when (new.version = 105) execute function stop_at_105()",
    )
    .await;
    let before = old.contents().await;
    let mut process = old.uncloud(&["migrate"]).spawn().expect("uncloud");
    old.until_waiting(1).await;
    process.kill().expect("killed");
    process.wait().expect("its end");
    holder.close().await.expect("let go");
    // Its session still had sqlx's lock, so that session has ended once the test gets the lock.
    let mut next: PgConnection = old.pool.acquire().await.expect("a connection").detach();
    next.lock().await.expect("sqlx's lock");
    assert_eq!(old.contents().await, before);
    next.close().await.expect("let go");
    old.cross().await.expect("across");
    assert_eq!(old.rows().await, before.rows);
}
