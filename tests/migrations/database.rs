//! Databases as the 25 old migrations left them, and descriptions of what is in a database.

use std::{
    collections::BTreeMap,
    process::{Command, Output, Stdio},
};

use sqlx::{AssertSqlSafe, PgPool, migrate::Migrator};
use tokio::sync::OnceCell;
use uncloud_testkit::{programs, servers::PostgresServer};

/// A database of a test's own.
pub struct Database {
    pub pool: PgPool,
    pub url: String,
}

/// All that is in a database: its schema, its rows and the records of its migrations, with the transaction that wrote them.
#[derive(Debug, PartialEq)]
pub struct Contents {
    pub schema: String,
    pub rows: BTreeMap<String, Vec<String>>,
    pub records: Vec<String>,
}

/// The migrations 0001 to 0038, as they were.
pub async fn old_migrations() -> Migrator {
    let folder = programs::repository().join("tests/migrations/before_0101");
    Migrator::new(folder).await.expect("the old migrations")
}

impl Database {
    pub async fn empty(name: &str) -> Self {
        Self::create(name, None).await
    }

    async fn create(name: &str, template: Option<&str>) -> Self {
        let url = PostgresServer::shared().create_database(name, template).await.expose().clone();
        Self { pool: PgPool::connect(&url).await.expect("a connection"), url }
    }

    /// As the ten migrations make it from nothing.
    pub async fn new(name: &str) -> Self {
        let database = Self::empty(name).await;
        database.cross().await.expect("migrations");
        database
    }

    /// With the schema of 0038, and rows in every table.
    pub async fn old(name: &str) -> Self {
        static TEMPLATE: OnceCell<()> = OnceCell::const_new();
        let make = || async {
            let database = Self::empty("template").await;
            old_migrations().await.run(&database.pool).await.expect("the old migrations");
            database.execute(include_str!("rows.sql")).await;
            database.pool.close().await;
        };
        TEMPLATE.get_or_init(make).await;
        Self::create(name, Some("template")).await
    }

    pub async fn execute(&self, sql: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await;
        done.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let texts = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(&self.pool).await;
        texts.unwrap_or_else(|error| panic!("{error}: {sql}"))
    }

    /// Brings it to 0110: over the bridge, or from nothing. In new sessions, which have the database's settings.
    pub async fn cross(&self) -> Result<(), String> {
        let pool = PgPool::connect(&self.url).await.expect("a connection");
        uncloud::migrations::migrate_to(&pool, 110).await.map_err(|error| format!("{error:#}"))
    }

    /// Brings it up to date, with the later migrations.
    pub async fn migrate(&self) {
        uncloud::migrations::migrate(&self.pool).await.expect("up to date");
    }

    pub async fn contents(&self) -> Contents {
        let records =
            "select concat_ws(' ', xmin, version, description, success, encode(checksum, 'hex'), installed_on)
                       from _sqlx_migrations order by version";
        Contents { schema: self.schema(), rows: self.rows().await, records: self.texts(records).await }
    }

    /// The schema as pg_dump writes it, which describes more than the bridge compares.
    pub fn schema(&self) -> String {
        let mut command = Command::new("pg_dump");
        let output = command.args(["--schema-only", &self.url]).output().expect("pg_dump, beside PostgreSQL's psql");
        let text = succeeded(&output);
        // Newer versions put a random word into two lines.
        text.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
    }

    /// The rows of each table, and the numbers that were given.
    pub async fn rows(&self) -> BTreeMap<String, Vec<String>> {
        let tables =
            "select tablename::text from pg_tables where schemaname = 'public' and tablename <> '_sqlx_migrations'";
        let mut rows = BTreeMap::new();
        for table in self.texts(tables).await {
            let of_table = format!("select to_jsonb(one)::text from {table} as one order by 1");
            rows.insert(table, self.texts(&of_table).await);
        }
        let sequences = "select concat_ws(' ', sequencename, last_value) from pg_sequences order by 1";
        rows.insert("sequences".to_owned(), self.texts(sequences).await);
        rows
    }

    /// The records of the migrations, without when and how long they ran.
    pub async fn applied(&self) -> Vec<String> {
        self.texts(
            "select concat_ws(' ', version, description, success, encode(checksum, 'hex')) from _sqlx_migrations
             order by version",
        )
        .await
    }

    /// The program, to be run on this database.
    pub fn uncloud(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uncloud"));
        command.args(args).env_clear().env("DATABASE_URL", &self.url).stdin(Stdio::null());
        command
    }

    /// Takes all that `dumped` has, as from a backup.
    pub fn restore(&self, dumped: &Self) {
        let mut dump = Command::new("pg_dump").arg(&dumped.url).stdout(Stdio::piped()).spawn().expect("pg_dump");
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url]).stdin(dump.stdout.take().expect("piped"));
        succeeded(&psql.output().expect("psql"));
        assert!(dump.wait().expect("pg_dump").success());
    }

    /// Waits until so many sessions wait for advisory locks, sqlx's or a test's.
    pub async fn until_waiting(&self, sessions: i64) {
        let waiting = "select count(*) from pg_locks join pg_database on pg_database.oid = database
                       where datname = current_database() and locktype = 'advisory' and not granted";
        for _ in 0..3000 {
            if sqlx::query_scalar::<_, i64>(waiting).fetch_one(&self.pool).await.expect("locks") == sessions {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("there never were {sessions} sessions that waited for a lock");
    }
}

/// Its output, if it succeeded.
#[track_caller]
pub fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
