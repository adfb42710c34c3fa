//! Lists: every one of them in pages, in both orders.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    app::{HOST, TestApp, new_key},
    world::World,
};

impl TestApp {
    /// All objects of a list, page by page, as `field` identifies them.
    async fn walk(&self, path: &str, user: &str, field: &str) -> Vec<Value> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}&limit=1{cursor}"), user).await.expect(200);
            let items = page["items"].as_array().expect("a list");
            assert!(items.len() <= 1, "{page}");
            found.extend(items.iter().map(|item| item[field].clone()));
            let Some(next) = page["next"].as_str() else { return found };
            cursor = format!("&cursor={next}");
        }
    }
}

#[tokio::test]
async fn list_with_sort_in_both_directions_returns_all_items() {
    let world = World::new().await;
    let app = &world.app;
    app.network("alice", new_key()).await;
    let pool =
        json!({ "network": "2001:db8:200::/40", "subnetwork_size": 48, "vpn_hostname": HOST, "listen_port": 51821 });
    app.post("/v1/admin/vpnpool", "admin", pool).await.expect(201);
    app.post("/v1/token", "alice", json!({ "name": "second", "scopes": ["read"] })).await.expect(201);
    tokio::time::sleep(Duration::from_secs(1)).await; // a customer has one bill of a second
    app.post("/v1/admin/user/2/bill", "admin", json!({})).await.expect(201);
    let mut lists = 0;
    for operation in world.operations().await {
        let parameters = operation.object["parameters"].as_array().cloned().unwrap_or_default();
        if !parameters.iter().any(|parameter| parameter["name"] == "sort") {
            let name = |parameter: &Value| parameter["name"] == "cursor";
            assert!(!parameters.iter().any(name) || operation.id == "admin_bill_run_problem_list", "{}", operation.id);
            continue;
        }
        let user = if operation.path.starts_with("/v1/admin/") { "admin" } else { "alice" };
        let path = operation.path.replace("{id}", &world.ids["user"]);
        let oldest = app.walk(&format!("{path}?sort=id:asc"), user, "id").await;
        let mut newest = app.walk(&format!("{path}?sort=id:desc"), user, "id").await;
        newest.reverse();
        assert!(oldest.len() >= 2 && oldest.iter().all(Value::is_i64), "{}: {oldest:?}", operation.id);
        assert!(oldest.is_sorted_by_key(Value::as_i64), "{}: {oldest:?}", operation.id);
        assert_eq!(oldest, newest, "{}", operation.id);
        lists += 1;
    }
    assert!(lists >= 13, "{lists} lists have an order");
}

#[tokio::test]
async fn user_and_product_lists_with_sort_by_name_are_ordered() {
    let app = TestApp::start().await;
    for (path, field) in [("/v1/admin/user", "username"), ("/v1/admin/product", "name"), ("/v1/product", "name")] {
        let mut names = app.walk(&format!("{path}?sort={field}:asc"), "admin", field).await;
        assert!(names.len() >= 3 && names.is_sorted_by_key(|name| name.as_str().map(str::to_owned)), "{names:?}");
        names.reverse();
        assert_eq!(app.walk(&format!("{path}?sort={field}:desc"), "admin", field).await, names);
    }
    let found = app.get("/v1/admin/user?username=alice", "admin").await.expect(200);
    assert_eq!((&found["items"][0]["username"], found["items"].as_array().map(Vec::len)), (&"alice".into(), Some(1)));
    let staff = app.walk("/v1/admin/user?staff=true", "admin", "staff").await;
    assert!(!staff.is_empty() && staff.iter().all(|staff| *staff == true), "{staff:?}");
}

#[tokio::test]
async fn pool_list_by_hostname_returns_only_pools_of_host() {
    let app = TestApp::start().await;
    app.handbook_pool().await;
    assert_eq!(app.walk(&format!("/v1/admin/vpnpool?vpn_hostname={HOST}"), "admin", "id").await, [1]);
    assert!(app.walk("/v1/admin/vpnpool?vpn_hostname=vpn-9.example.ch", "admin", "id").await.is_empty());
}

#[tokio::test]
async fn list_cursor_with_other_sort_order_is_refused() {
    let app = TestApp::start().await;
    let orders = ["id:asc", "id:desc", "username:asc", "username:desc"];
    for sort in orders {
        let first = app.get(&format!("/v1/admin/user?sort={sort}&limit=1"), "admin").await.expect(200);
        let next = first["next"].as_str().expect("more");
        for other in orders {
            let response = app.get(&format!("/v1/admin/user?sort={other}&cursor={next}"), "admin").await;
            if other == sort {
                response.expect(200);
            } else {
                assert_eq!(response.wrong_fields(400), ["/cursor"], "{sort} is not {other}");
            }
        }
    }
    let response = app.get("/v1/admin/user?sort=password:asc", "admin").await;
    assert_eq!(response.wrong_fields(400), ["/sort"]);
    assert!(
        response.text.contains("must be one of: id:asc, id:desc, username:asc, username:desc"),
        "{}",
        response.text
    );
}
