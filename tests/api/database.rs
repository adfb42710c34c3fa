//! The connections at hand: what one statement leaves behind, the next one must not find.

use std::time::Duration;

use sqlx::{PgPool, query_scalar};
use tokio::time::timeout;
use uncloud::database::Database;

use crate::app::database;

const PLANS: &str = "select setting from pg_settings where name = 'plan_cache_mode'";

#[tokio::test]
async fn search_is_planned_each_time_and_other_statements_are_not() {
    let database = Database::from(database().await);
    for _ in 0..3 {
        let searched: String = query_scalar(PLANS).fetch_one(&database.search()).await.expect("a setting");
        let read: String = query_scalar(PLANS).fetch_one(&database).await.expect("a setting");
        assert_eq!((searched.as_str(), read.as_str()), ("force_custom_plan", "auto"));
    }
    // Not even when the pool gets it back, as after an error.
    let failed = query_scalar::<_, i32>("select 1 / 0").fetch_one(&database.search()).await;
    failed.expect_err("a division by zero");
    let mut pooled = Vec::new();
    while pooled.len() < 3 {
        pooled.push(database.acquire().await.expect("a connection"));
    }
    for mut connection in pooled {
        let plans: String = query_scalar(PLANS).fetch_one(&mut *connection).await.expect("a setting");
        assert_eq!(plans, "auto");
    }
}

#[tokio::test]
async fn abandoned_statement_does_not_answer_the_next_one() {
    let database = Database::from(database().await);
    for number in 0..20 {
        let slow = query_scalar::<_, i32>("select 1 from pg_sleep(0.05)");
        let slow = timeout(Duration::from_millis(number % 4), slow.fetch_one(&database)).await;
        slow.expect_err("it is given up");
        assert_eq!(query_scalar::<_, i32>("select 2").fetch_one(&database).await.expect("a number"), 2);
    }
}

#[tokio::test]
async fn slow_statements_do_not_hold_up_a_short_one() {
    let database = Database::from(database().await);
    for kind in [database.clone(), database.search()] {
        let slow: Vec<_> = (0..4)
            .map(|_| {
                let kind = kind.clone();
                tokio::spawn(async move { query_scalar::<_, i32>("select 1 from pg_sleep(20)").fetch_one(&kind).await })
            })
            .collect();
        let all_run =
            "select count(*) = 4 from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()
            and datname = current_database() and state = 'active'";
        let pool: &PgPool = &database;
        while !query_scalar::<_, bool>(all_run).fetch_one(pool).await.expect("a count") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let short = timeout(Duration::from_secs(10), query_scalar::<_, i32>("select 2").fetch_one(&kind)).await;
        assert_eq!(short.expect("it does not wait for them").expect("a number"), 2);
        slow.iter().for_each(tokio::task::JoinHandle::abort);
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like '%pg_sleep%'
            and pid <> pg_backend_pid() and datname = current_database()";
        query_scalar::<_, i64>(end).fetch_one(pool).await.expect("ended");
    }
}

#[tokio::test]
async fn closed_database_refuses_statements_and_searches() {
    let database = Database::from(database().await);
    for open in [database.search(), database.clone()] {
        query_scalar::<_, i32>("select 1").fetch_one(&open).await.expect("a number");
    }
    database.close().await;
    for closed in [database.search(), database] {
        let refused = query_scalar::<_, i32>("select 1").fetch_one(&closed).await;
        assert!(matches!(refused, Err(sqlx::Error::PoolClosed)), "{refused:?}");
    }
}
