//! Schedules: over HTTP and by the command line, which is another process; and as servers in processes of their own see to them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uncloud::{queue::Notifier, schedule};
use uncloud_testkit::servers::RedisServer;

use crate::{
    app::{HOST, TestApp, database, database_url},
    servers::Server,
};

/// Schedules that are there from the start.
const DEFAULTS: usize = 3;
const SCHEDULES: &str = "/v1/admin/schedule";

/// Waits until it holds.
async fn until<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    for _ in 0..1500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain: {what}");
}

/// A tick: the time at which it was due, its job, and the time at which that ran.
type Tick = (DateTime<Utc>, i64, DateTime<Utc>);

/// Ticks of a schedule by their due time.
async fn ticks(pool: &PgPool, name: &str) -> Vec<Tick> {
    let ticks = sqlx::query_as(
        "select due_at, job_id, ran_at from schedule_tick join schedule using (schedule_id) where name = $1 order by due_at",
    );
    ticks.bind(name).fetch_all(pool).await.expect("ticks")
}

/// Makes a schedule as if it had been made long ago, with its next tick `due_in_seconds` from now.
async fn seed(pool: &PgPool, name: &str, every_seconds: i32, due_in_seconds: f64) {
    let insert = sqlx::query(
        "insert into schedule (name, kind, every_seconds, next_run_at)
         values ($1, 'job_cleanup', $2, date_trunc('second', clock_timestamp()) + make_interval(secs => $3))",
    );
    insert.bind(name).bind(every_seconds).bind(due_in_seconds).execute(pool).await.expect("a schedule");
}

/// Each beat once, and none left out but those that were past when the tick before them ran: one job makes up for them.
fn assert_no_beat_left_out(name: &str, ticks: &[Tick], every_seconds: i64) {
    let every = TimeDelta::seconds(every_seconds);
    for pair in ticks.windows(2) {
        let gap = pair[1].0 - pair[0].0;
        let beats = gap >= every && gap.num_milliseconds() % every.num_milliseconds() == 0;
        assert!(beats && pair[1].0 <= pair[0].2 + every, "{name}: {ticks:?}");
    }
}

/// Every beat from the first to the last, each once; and no job of the schedule but those of its ticks. (A tick whose
/// predecessor's job still waits joins that one.)
async fn assert_each_once(pool: &PgPool, name: &str, every_seconds: i64) -> Vec<Tick> {
    let ticks = ticks(pool, name).await;
    assert_no_beat_left_out(name, &ticks, every_seconds);
    let jobs: Vec<i64> =
        sqlx::query_scalar("select job_id from job where unique_key = 'schedule:' || $1 order by job_id")
            .bind(name)
            .fetch_all(pool)
            .await
            .expect("jobs");
    let mut of_ticks: Vec<i64> = ticks.iter().map(|(_, job, _)| *job).collect();
    of_ticks.dedup();
    assert_eq!(jobs, of_ticks, "{name}: {ticks:?}");
    ticks
}

impl TestApp {
    async fn schedule(&self, body: Value) -> Value {
        self.post(SCHEDULES, "admin", body).await.expect(201)
    }

    async fn patch_schedule(&self, schedule: &Value, body: Value) -> Value {
        let path = format!("{SCHEDULES}/{}", schedule["id"]);
        self.request(Method::PATCH, &path, Some("admin"), Some(body)).await.expect(200)
    }
}

#[tokio::test]
async fn default_schedules_changed_or_deleted_are_not_restored() {
    let app = TestApp::start().await;
    let listed = app.get(SCHEDULES, "admin").await.expect(200);
    let names: Vec<_> =
        listed["items"].as_array().expect("schedules").iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, ["bill-run", "job-cleanup", "vpn-reconcile"]);
    let daily = &listed["items"][0];
    assert_eq!((&daily["cron"], &daily["time_zone"]), (&json!("0 1 * * *"), &json!("Europe/Zurich")));
    let nightly = &listed["items"][2];
    assert_eq!((&nightly["cron"], &nightly["time_zone"]), (&json!("17 3 * * *"), &json!("UTC")));
    let next = nightly["next_runs"].as_array().expect("times");
    assert!(next.len() == 5 && next[0].as_str().is_some_and(|time| time.contains("T03:17:00")), "{nightly}");
    app.patch_schedule(nightly, json!({ "cron": "5 4 * * *", "time_zone": "Europe/Zurich" })).await;
    app.cli(&["schedule", "rm", "job-cleanup"]).await.expect("removed");
    app.cli(&["db-add-defaults"]).await.expect("defaults");
    let listed = app.get(SCHEDULES, "admin").await.expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "what was deleted does not come back");
    assert_eq!(listed["items"][1]["cron"], "5 4 * * *");
    assert_eq!(app.get(SCHEDULES, "alice").await.status, 403);
}

#[tokio::test]
async fn schedule_when_due_or_run_manually_enqueues_its_job() {
    let app = TestApp::start().await;
    app.obedient_worker();
    let pool = app.handbook_pool().await;
    app.finished(&pool).await;
    let made = app.schedule(json!({ "name": "often", "kind": "vpn_reconcile", "every_seconds": "1" })).await;
    assert_eq!(made["next_runs"].as_array().map(Vec::len), Some(5));
    let generation = async || {
        let path = format!("/v1/admin/vpnpool/{}", pool["id"]);
        app.get(&path, "admin").await.expect(200)["applied_generation"].as_i64().expect("a number")
    };
    let before = generation().await;
    until("the host applies what the schedule asked for", async || generation().await > before).await;
    app.cli(&["schedule", "pause", "often"]).await.expect("paused");
    let paused = app.get(&format!("{SCHEDULES}/{}", made["id"]), "admin").await.expect(200);
    assert!(paused["paused_at"].is_string() && paused["next_runs"] == json!([]), "{paused}");
    let after_pause = assert_each_once(&app.pool, "often", 1).await;

    // By hand, although it is paused.
    let asked = app.cli(&["schedule", "run", "often", "--output", "json"]).await.expect("asked");
    let job = asked["last_job"]["id"].clone();
    let done = app.get(&format!("/v1/job/{job}?wait=30"), "admin").await.expect(200);
    assert_eq!((&done["state"], &done["queue"]), (&json!("succeeded"), &json!("server")));
    let apply = &done["result"]["jobs"][0];
    let applied = app.get(&format!("/v1/job/{apply}?wait=30"), "admin").await.expect(200);
    assert_eq!(
        (&applied["state"], &applied["kind"], &applied["queue"]),
        (&json!("succeeded"), &json!("vpn_apply"), &json!(HOST))
    );
    assert_eq!(ticks(&app.pool, "often").await, after_pause, "a manual run is not a tick");
    let shown = app.cli(&["schedule", "show", "often", "--output", "json"]).await.expect("shown");
    assert_eq!(shown["last_job"], json!({ "id": job, "state": "succeeded" }));

    app.cli(&["schedule", "resume", "often"]).await.expect("goes on");
    until("it ticks again", async || ticks(&app.pool, "often").await.len() > after_pause.len()).await;
    app.cli(&["schedule", "update", "often", "--cron", "0 0 1 1 *", "--time-zone", "Europe/Zurich", "--priority", "9"])
        .await
        .expect("edited");
    let edited = app.get(&format!("{SCHEDULES}/{}", made["id"]), "admin").await.expect(200);
    assert_eq!((&edited["cron"], &edited["priority"]), (&json!("0 0 1 1 *"), &json!(9)));
    assert!(edited["next_runs"][0].as_str().is_some_and(|time| time.contains("-12-31T23:00:00")), "{edited}");
    let run =
        app.request(Method::POST, &format!("{SCHEDULES}/{}/run", made["id"]), Some("admin"), None).await.expect(200);
    let last = app.get(&format!("/v1/admin/job/{}", run["last_job"]["id"]), "admin").await.expect(200);
    assert_eq!(last["job"]["priority"], 9, "{last}");
    assert!(last["request_id"].is_string(), "the request that ran it: {last}");
    app.delete(&format!("{SCHEDULES}/{}", made["id"]), "admin").await.expect(204);
    let gone = app.cli(&["schedule", "show", "often"]).await.expect_err("gone");
    assert!(gone.contains("schedule often not found"), "{gone}");
}

#[tokio::test]
async fn schedule_create_with_invalid_fields_writes_nothing() {
    let app = TestApp::start().await;
    let wrong = json!({ "name": "A", "kind": "vpn_apply", "cron": "* * *", "time_zone": "Mars", "priority": 10 });
    let fields = app.post(SCHEDULES, "admin", wrong).await.wrong_fields(422);
    assert_eq!(fields, ["/name", "/kind", "/cron", "/time_zone", "/priority"]);
    let base = |more: Value| {
        let mut body = json!({ "name": "x", "kind": "job_cleanup" });
        body.as_object_mut().expect("an object").append(more.as_object().cloned().as_mut().expect("an object"));
        body
    };
    for (more, field) in [
        (json!({}), "/cron"),
        (json!({ "cron": "0 0 30 2 *" }), "/cron"),
        (json!({ "cron": "* * * * *", "every_seconds": 5 }), "/every_seconds"),
        (json!({ "time_zone": "UTC", "every_seconds": 5 }), "/time_zone"),
        (json!({ "every_seconds": 0 }), "/every_seconds"),
        (json!({ "every_seconds": 5, "payload": { "vpn_hostname": HOST } }), "/payload"),
        (json!({ "every_seconds": 5, "payload": [] }), "/payload"),
    ] {
        assert_eq!(app.post(SCHEDULES, "admin", base(more.clone())).await.wrong_fields(422), [field], "{more}");
    }
    let taken = json!({ "name": "job-cleanup", "kind": "job_cleanup", "every_seconds": 5 });
    assert_eq!(app.post(SCHEDULES, "admin", taken).await.expect(409)["code"], "name_taken");
    let timeless = app.cli(&["schedule", "add", "x", "--kind", "job_cleanup"]).await.expect_err("no time");
    assert!(timeless.contains("--cron EXPRESSION or --every SECONDS"), "{timeless}");
    let wrong =
        app.cli(&["schedule", "add", "x", "--kind", "vpn_reconcile", "--cron", "61 * * * *"]).await.expect_err("61");
    assert!(wrong.contains("minute, hour, day of the month"), "{wrong}");
    let payload = ["schedule", "add", "x", "--kind", "job_cleanup", "--every", "5", "--payload", "{\"a\": 1}"];
    let wrong = app.cli(&payload).await.expect_err("a payload");
    assert!(wrong.contains("payload must be empty"), "{wrong}");
    assert_eq!(app.get(SCHEDULES, "admin").await.expect(200)["items"].as_array().map(Vec::len), Some(DEFAULTS));
    let listed = app.cli(&["schedule", "ls"]).await.expect("a table");
    assert!(
        listed.as_str().is_some_and(|table| table.contains("17 3 * * * UTC") && table.contains("every 3600 s")),
        "{listed}"
    );
}

#[tokio::test]
async fn schedule_add_with_payload_on_the_command_line_keeps_the_object() {
    let app = TestApp::start().await;
    let payload = json!({ "vpn_hostname": HOST });
    let text = payload.to_string();
    let add = ["schedule", "add", "host-1", "--kind", "vpn_reconcile", "--every", "3600", "--payload", &text];
    app.cli(&add).await.expect("added");
    let schedules = app.get(SCHEDULES, "admin").await.expect(200);
    let added = schedules["items"].as_array().expect("schedules").iter().find(|schedule| schedule["name"] == "host-1");
    assert_eq!(added.expect("listed")["payload"], payload);
    let wrong = app.cli(&["schedule", "update", "host-1", "--payload", "{"]).await.expect_err("cut off");
    assert!(wrong.contains("--payload"), "{wrong}");
}

/// Ten schedulers on one database, for three seconds: each beat is one tick and one job.
#[tokio::test]
async fn schedulers_on_one_database_make_each_tick_once() {
    let pool = database().await;
    seed(&pool, "a", 1, 0.0).await;
    seed(&pool, "b", 1, 1.0).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let wakes = (0..10).map(|_| std::sync::Arc::<Notifier>::default());
    let schedulers: Vec<_> =
        wakes.map(|wake| tokio::spawn(schedule::run(pool.clone(), wake, stopped.clone()))).collect();
    until("three ticks", async || ticks(&pool, "b").await.len() >= 3).await;
    stop.send_replace(true);
    for scheduler in schedulers {
        scheduler.await.expect("it ends");
    }
    // Nobody runs the jobs here: the first one waits, and the others join it.
    for name in ["a", "b"] {
        let ticks = ticks(&pool, name).await;
        assert_no_beat_left_out(name, &ticks, 1);
        assert!(ticks.windows(2).all(|pair| pair[0].1 == pair[1].1), "{name}: no work piles up: {ticks:?}");
    }
    let jobs: i64 = sqlx::query_scalar("select count(*) from job").fetch_one(&pool).await.expect("a count");
    assert_eq!(jobs, 2);
}

#[tokio::test]
async fn schedule_after_server_kills_catches_up_without_duplicates() {
    let (url, redis) = (database_url().await, RedisServer::start());
    let pool = PgPool::connect(url.expose()).await.expect("database");
    seed(&pool, "beat", 1, 1.0).await;
    let first = Server::start(&url, &redis, &[]).await;
    let second = Server::start(&url, &redis, &[]).await;
    until("both have seen a tick", async || ticks(&pool, "beat").await.len() >= 2).await;
    first.kill();
    let before = ticks(&pool, "beat").await.len();
    until("the other goes on", async || ticks(&pool, "beat").await.len() >= before + 2).await;
    second.kill();
    let done = assert_each_once(&pool, "beat", 1).await;
    let first_missed: DateTime<Utc> = sqlx::query_scalar("select next_run_at from schedule where name = 'beat'")
        .fetch_one(&pool)
        .await
        .expect("a time");

    // Nobody is there for three due times and more.
    let missed = "select clock_timestamp() - next_run_at > interval '3 seconds' from schedule where name = 'beat'";
    until("ticks are missed", async || sqlx::query_scalar(missed).fetch_one(&pool).await.expect("a row")).await;
    let third = Server::start(&url, &redis, &[]).await;
    until("it goes on", async || ticks(&pool, "beat").await.len() >= done.len() + 2).await;
    let after = ticks(&pool, "beat").await;
    assert_eq!(after[..done.len()], done, "what was done stays done");
    let caught_up = after[done.len()].0;
    assert_eq!(caught_up, first_missed, "{after:?}");
    let gap = (after[done.len() + 1].0 - caught_up).num_seconds();
    assert!(gap >= 3, "one job for all that were missed: {after:?}");
    assert!(third.terminate().await.success(), "it ends in order");
}

#[tokio::test]
async fn schedule_added_by_another_process_runs_promptly() {
    let app = TestApp::start().await;
    // Nothing is due for a long time: an edit by another process is seen at once.
    let started = std::time::Instant::now();
    app.cli(&["schedule", "add", "soon", "--kind", "job_cleanup", "--every", "1"]).await.expect("added");
    until("it ticks", async || !ticks(&app.pool, "soon").await.is_empty()).await;
    assert!(started.elapsed() < Duration::from_secs(20), "not by looking now and then");
}

#[tokio::test]
async fn schedule_after_clock_goes_back_repeats_no_tick() {
    let app = TestApp::start().await;
    seed(&app.pool, "daily", 86_400, -5.0).await;
    app.cli(&["schedule", "update", "job-cleanup", "--every", "3600"]).await.expect("wakes the scheduler");
    until("it ticks", async || ticks(&app.pool, "daily").await.len() == 1).await;
    // As if the clock had been an hour ahead when it ticked: its due time lies in the future now.
    let ahead = "update schedule set last_due_at = last_due_at + interval '1 hour', next_run_at = next_run_at + interval '1 hour'
        where name = 'daily' returning last_due_at";
    let last: DateTime<Utc> = sqlx::query_scalar(ahead).fetch_one(&app.pool).await.expect("a row");
    app.cli(&["schedule", "update", "daily", "--every", "60"]).await.expect("edited");
    let next: DateTime<Utc> = sqlx::query_scalar("select next_run_at from schedule where name = 'daily'")
        .fetch_one(&app.pool)
        .await
        .expect("a row");
    assert!(next > last, "{next} after {last}");
    let back =
        sqlx::query("update schedule set next_run_at = last_due_at where name = 'daily'").execute(&app.pool).await;
    let error = back.expect_err("the database refuses to go back");
    let named = error.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
    assert_eq!(named, Some("schedule_forward"));
}
