//! `--output json`: one object is the API's object, and a list is a list of the API's objects.

use serde_json::{Value, json};

use crate::{
    app::{HOST, TestApp},
    books::{ALICE, address, bill_all, place, terms},
};

impl TestApp {
    async fn printed(&self, command: &str) -> Value {
        let args: Vec<&str> = command.split(' ').chain(["--output", "json"]).collect();
        self.cli(&args).await.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    async fn returned(&self, path: &str) -> Value {
        self.get(path, "admin").await.expect(200)
    }

    async fn prints_object(&self, command: &str, path: &str) {
        assert_eq!(self.printed(command).await, self.returned(path).await, "{command} and GET {path}");
    }

    async fn prints_items(&self, command: &str, path: &str) {
        let items = self.returned(path).await["items"].take();
        assert!(items.as_array().is_some_and(|items| !items.is_empty()), "GET {path} returns nothing to compare");
        assert_eq!(self.printed(command).await, items, "{command} and GET {path}");
    }
}

#[tokio::test]
async fn job_commands_print_objects_of_the_api() {
    let app = TestApp::start().await;
    app.cli(&["queue", "pause", HOST]).await.expect("paused");
    let job = app.handbook_pool().await["job"]["id"].clone();
    app.prints_object(&format!("job show {job}"), &format!("/v1/admin/job/{job}")).await;
    app.prints_items("job ls", "/v1/admin/job").await;
    app.prints_items("inspect scheduled", "/v1/admin/job?state=queued").await;
    assert_eq!(app.printed("inspect reserved").await, json!([]));
    let without_clock = |mut queue: Value| {
        queue.as_object_mut().expect("an object").remove("oldest_available_seconds").expect("waits");
        queue
    };
    let queue = without_clock(app.returned(&format!("/v1/admin/queue/{HOST}")).await);
    assert_eq!(without_clock(app.printed(&format!("queue show {HOST}")).await), queue);
    for command in ["queue ls", "inspect stats"] {
        assert_eq!(without_clock(app.printed(command).await[0].take()), queue, "{command}");
    }
}

#[tokio::test]
async fn worker_commands_print_objects_of_the_api() {
    let app = TestApp::start().await;
    app.obedient_worker();
    let pool = app.handbook_pool().await;
    app.finished(&pool).await;
    let worker = app.printed("worker ls").await;
    let path = format!("/v1/admin/worker/{}", worker[0]["id"]);
    let stable = |worker: &Value| ["id", "name", "queue", "kinds", "started_at"].map(|name| worker[name].clone());
    assert_eq!(stable(&worker[0]), stable(&app.returned(&path).await));
    assert_eq!(stable(&worker[0]), stable(&app.printed("inspect report").await[0]));
    let ping = app.printed("inspect ping").await;
    assert_eq!((&ping[0]["worker"], &ping[0]["reply"]), (&worker[0]["id"], &json!("pong")));
    let reconciled = app.printed(&format!("vpn --hostname {HOST}")).await;
    let job = app.returned(&format!("/v1/job/{}", reconciled[0]["id"])).await;
    assert_eq!(reconciled[0], job, "vpn");
}

#[tokio::test]
async fn schedule_commands_print_objects_of_the_api() {
    let app = TestApp::start().await;
    let added = app.printed("schedule add often --kind job_cleanup --every 3600 --paused").await;
    let path = format!("/v1/admin/schedule/{}", added["id"]);
    assert_eq!(added, app.returned(&path).await);
    let edited = app.printed("schedule update often --every 7200").await;
    assert_eq!((&edited["every_seconds"], &edited), (&json!(7200), &app.returned(&path).await));
    app.prints_object("schedule show often", &path).await;
    app.prints_items("schedule ls", "/v1/admin/schedule").await;
    let ran = app.printed("schedule run often").await;
    assert_eq!((&ran["name"], ran["last_job"]["id"].is_i64()), (&json!("often"), true), "{ran}");
}

#[tokio::test]
async fn bill_and_user_commands_print_objects_of_the_api() {
    let app = TestApp::start_with_books().await;
    address(&app.pool, ALICE, "CH", false).await;
    place(&app.pool, &terms(ALICE, "10.00"), "2024-03-01").await;
    bill_all(&app.pool, "2024-03-05").await;
    let bill = app.returned("/v1/admin/bill").await["items"][0].clone();
    let (number, id) = (bill["number"].as_str().expect("a number"), &bill["id"]);
    app.prints_object(&format!("bill show {number}"), &format!("/v1/admin/bill/{id}")).await;
    app.prints_items("bill ls", "/v1/admin/bill").await;
    app.prints_object("user show alice", &format!("/v1/admin/user/{ALICE}")).await;
    app.prints_items("user ls", "/v1/admin/user?sort=username:asc").await;
}
