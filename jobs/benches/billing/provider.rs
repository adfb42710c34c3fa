//! A provider's database with customers and orders.

use std::time::Instant;

use sqlx::{AssertSqlSafe, PgPool};
use uncloud_testkit::servers::PostgresServer;

use super::run::{Took, bill_run};

/// The time at which all new orders are due: each starts in the four weeks before.
pub(crate) const START: &str = "2025-06-01T00:00:00Z";

/// Two customers for every five orders: some have one order, some have many.
const CUSTOMERS_PER_ORDER: (usize, usize) = (2, 5);

pub(crate) struct Provider {
    pool: PgPool,
    url: String,
}

impl Provider {
    /// Creates customers of all kinds that VAT distinguishes, with this many orders that have never been billed.
    pub(crate) async fn with_orders(postgres: &PostgresServer, name: &str, orders: usize) -> Self {
        let provider = Self::new(postgres, name, orders).await;
        provider.add_orders(orders).await;
        provider
    }

    /// Creates the same customers with as many orders that ran for months, were billed in each of them, and have ended.
    pub(crate) async fn with_history(postgres: &PostgresServer, name: &str, orders: usize, months: usize) -> Self {
        let provider = Self::new(postgres, name, orders).await;
        let begin = format!("timestamptz '{START}' - interval '{} months'", months + 1);
        provider.insert_orders(orders, &begin, &format!("{begin} + interval '{} days'", months * 30)).await;
        for month in 0..=months {
            provider.run(&provider.later(&begin, month * 30 + 29).await);
        }
        let open: i64 = provider.one("select count(*) from order_cursor where not closed").await;
        assert_eq!(open, 0, "the history is closed");
        provider.execute("vacuum analyze").await;
        provider
    }

    async fn new(postgres: &PostgresServer, name: &str, orders: usize) -> Self {
        let url = postgres.create_database(name, None).await.expose().clone();
        let pool = PgPool::connect(&url).await.expect("database");
        uncloud::cli::defaults::add_defaults(&pool).await.expect("schema and VAT rates");
        let provider = Self { pool, url };
        provider
            .execute(
                "insert into seller (name, street, postal_code, city, country, vat_number, time_zone, oss_eu)
                 values ('Provider AG', 'Bahnhofstrasse 1', '8783', 'Linthal', 'CH', 'CHE123456788MWST', 'Europe/Zurich', true)",
            )
            .await;
        let customers = (orders * CUSTOMERS_PER_ORDER.0 / CUSTOMERS_PER_ORDER.1).max(1);
        provider
            .execute(&format!(
                "insert into users (username) select 'customer-' || n from generate_series(1, {customers}) n"
            ))
            .await;
        provider
            .execute(
                "insert into billing_address (user_id, name, company, street, postal_code, city, country, vat_number,
                     vat_verified_at, vat_evidence)
                 select user_id, username, case when user_id % 10 in (7, 8) then username end, 'Street 1', '8000', 'City',
                     (array['CH', 'CH', 'CH', 'CH', 'CH', 'LI', 'DE', 'DE', 'FI', 'US'])[user_id % 10 + 1],
                     case when user_id % 10 = 7 then 'DE136695976' end, case when user_id % 10 = 7 then now() end,
                     case when user_id % 10 = 7 then 'looked up' end
                 from users",
            )
            .await;
        provider
    }

    /// Adds orders paid in advance, most of them for 30 days, which start at some second of the four weeks before the
    /// first run.
    pub(crate) async fn add_orders(&self, orders: usize) {
        self.insert_orders(
            orders,
            &format!("timestamptz '{START}' - interval '1 s' * (1 + n * 7919 % 2400000)"),
            "null",
        )
        .await;
        self.execute("vacuum analyze").await;
    }

    async fn insert_orders(&self, orders: usize, starts_at: &str, ends_at: &str) {
        self.execute(&format!(
            "with placed as (
             insert into orders (user_id, description, currency, one_time_micros, recurring_micros, period_unit, period_count,
                 billing_mode, commitment_periods, time_zone, starts_at, ordered_at, billing_ends_at, deliver_at)
             select (select min(user_id) from users) + n * 7919 % (select count(*) from users), 'order ' || n, 'CHF',
                 case when n % 10 = 0 then 10000000 else 0 end, 10000 * (100 + n % 5000),
                 case when n % 10 < 7 or {ends_at} is not null then 'day' when n % 10 < 9 then 'month' else 'year' end,
                 case when n % 10 < 7 or {ends_at} is not null then 30 else 1 end,
                 'advance', 1, 'Europe/Zurich', {starts_at}, {starts_at}, {ends_at}, {starts_at}
             from generate_series(1, {orders}::bigint) n
             returning order_id, user_id, starts_at)
             insert into order_cursor (order_id, user_id, due_at) select order_id, user_id, starts_at from placed"
        ))
        .await;
    }

    /// Returns the time so many days after the first run.
    pub(crate) async fn days_later(&self, days: usize) -> String {
        self.later(&format!("timestamptz '{START}'"), days).await
    }

    async fn later(&self, begin: &str, days: usize) -> String {
        self.one(&format!(
            r#"select to_char(({begin} + interval '{days} days') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"#
        ))
        .await
    }

    pub(crate) fn run(&self, as_of: &str) -> Took {
        bill_run(&self.url, as_of)
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.one(&format!("select count(*) from {table}")).await
    }

    /// Returns the seconds that COPY of all rows of the run takes, into tables without any constraint or index; the
    /// cursors of orders count, because the run rewrites each.
    pub(crate) async fn copy(&self) -> f64 {
        let mut secs = 0.0;
        for table in ["bill", "bill_charge", "bill_record", "bill_vat", "bill_number", "order_cursor"] {
            let file = format!(
                "/tmp/{}-{table}.copy",
                self.url.rsplit('/').next().unwrap_or_default().split('?').next().unwrap_or_default()
            );
            self.execute(&format!("create table bare_{table} as table {table} with no data")).await;
            self.execute(&format!("copy (table {table}) to '{file}'")).await;
            let started = Instant::now();
            self.execute(&format!("copy bare_{table} from '{file}'")).await;
            secs += started.elapsed().as_secs_f64();
            self.execute(&format!("drop table bare_{table}")).await;
            // The file may belong to another user, PostgreSQL's; the next run replaces it by a file of the same name.
            let _ = std::fs::remove_file(&file);
        }
        secs
    }

    async fn execute(&self, sql: &str) {
        sqlx::query(AssertSqlSafe(sql.to_owned()))
            .execute(&self.pool)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn one<T>(&self, sql: &str) -> T
    where
        (T,): for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let row: (T,) = sqlx::query_as(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&self.pool)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        row.0
    }
}
