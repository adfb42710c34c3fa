//! One object of every noun, and what the document says of the operations: for tests that walk it.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use uncloud::server::RateLimits;

use crate::app::{ApiResponse, HOST, TestApp, new_key};

/// A server with one object of every noun; where customers have such objects, it is alice's.
pub struct World {
    pub app: TestApp,
    /// Identifiers of objects, by the part of the path before them.
    pub ids: BTreeMap<&'static str, String>,
}

/// An operation of the document that the server publishes.
#[derive(Debug)]
pub struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
    /// The operation itself; parameters, responses and the ways to sign in that others have too are put in place.
    pub object: Value,
    /// The example of its body.
    pub body: Option<Value>,
}

/// Replaces references to shared parameters, responses and headers by what they refer to.
fn resolve(value: &mut Value, document: &Value) {
    if let Some(place) = value["$ref"].as_str().filter(|place| !place.starts_with("#/components/schemas/")) {
        *value = document.pointer(&place[1..]).cloned().unwrap_or_else(|| panic!("there is no {place}"));
    }
    match value {
        Value::Object(map) => map.values_mut().for_each(|value| resolve(value, document)),
        Value::Array(items) => items.iter_mut().for_each(|value| resolve(value, document)),
        _ => {}
    }
}

/// Headers of all responses.
const EVERYWHERE: [&str; 13] = [
    "allow",
    "cache-control",
    "content-length",
    "content-security-policy",
    "content-type",
    "cross-origin-opener-policy",
    "date",
    "ratelimit",
    "ratelimit-policy",
    "referrer-policy",
    "vary",
    "x-content-type-options",
    "x-request-id",
];

impl World {
    pub async fn new() -> Self {
        // Whoever walks all operations asks more often than anybody else.
        let app = TestApp::start_changed(|settings| settings.rates = RateLimits::NONE).await;
        let pool = app.handbook_pool().await;
        let network = app.network("alice", new_key()).await;
        let address =
            json!({ "name": "Alice", "street": "Seeweg 1", "postal_code": "8750", "city": "Glarus", "country": "CH" });
        app.put("/v1/billing_address", "alice", address).await.expect(200);
        let seller = json!({ "name": "Provider AG", "street": "Weg 1", "postal_code": "8000", "city": "Zurich",
            "country": "CH", "vat_number": "CHE-123.456.788 MWST", "time_zone": "Europe/Zurich" });
        app.put("/v1/admin/seller", "admin", seller).await.expect(200);
        let line = json!({ "description": "Work", "net": "10.00", "currency": "CHF", "reason": "ticket 1" });
        app.post("/v1/admin/user/2/bill_item", "admin", line.clone()).await.expect(201);
        let billed = app.post("/v1/admin/user/2/bill", "admin", json!({})).await.expect(201);
        let line = app.post("/v1/admin/user/2/bill_item", "admin", line).await.expect(201);
        let schedule = json!({ "name": "more-cleanup", "kind": "job_cleanup", "every_seconds": 3600 });
        let schedule = app.post("/v1/admin/schedule", "admin", schedule).await.expect(201);
        let first = async |path: &str| app.get(path, "admin").await.expect(200)["items"][0].clone();
        let (order, run) = (first("/v1/admin/order").await, first("/v1/admin/bill_run").await);
        let token = json!({ "name": "backup", "scopes": ["read"] });
        let token = app.post("/v1/token", "alice", token).await.expect(201);
        let worker =
            "insert into worker (queue, instance, name, version, concurrency, active, kinds, started_at, succeeded,
                failed, leases_lost, rss_bytes, last_seen_at)
            values ($1, 'i', 'x', '1', 4, '[]', '{}', now(), 0, 0, 0, 0, now()) returning worker_id";
        let worker: i64 = sqlx::query_scalar(worker).bind(HOST).fetch_one(&app.pool).await.expect("a worker");
        let id = |object: &Value| object["id"].as_i64().unwrap_or_else(|| panic!("no id in {object}")).to_string();
        let ids = BTreeMap::from([
            ("bill", id(&billed["bills"][0])),
            ("bill_item", id(&line)),
            ("bill_run", id(&run)),
            ("job", id(&network["job"])),
            ("order", id(&order)),
            ("product", "1".to_owned()),
            ("queue", HOST.to_owned()),
            ("schedule", id(&schedule)),
            ("token", id(&token)),
            ("user", "2".to_owned()),
            ("vpn", id(&network)),
            ("vpnpool", id(&pool)),
            ("worker", worker.to_string()),
        ]);
        Self { app, ids }
    }

    /// All operations, as the running server has them.
    pub async fn operations(&self) -> Vec<Operation> {
        let document = self.app.request(Method::GET, "/openapi.json", None, None).await.expect(200);
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, object) in item.as_object().expect("operations") {
                let mut object = object.clone();
                resolve(&mut object, &document);
                if object.get("security").is_none() {
                    object["security"] = document["security"].clone();
                }
                let schema = object.pointer("/requestBody/content/application~1json/schema/$ref");
                let schema = schema.and_then(Value::as_str).and_then(|place| document.pointer(&place[1..]));
                operations.push(Operation {
                    id: object["operationId"].as_str().expect("an id").to_owned(),
                    method: method.to_uppercase().parse().expect("a method"),
                    path: path.clone(),
                    body: schema.map(|schema| schema["example"].clone()),
                    object,
                });
            }
        }
        operations
    }

    /// Calls an operation on the objects that there are, with the document's own example as the body. What comes back has
    /// to be in the document.
    pub async fn call(&self, operation: &Operation, user: Option<&str>) -> ApiResponse {
        let mut address = String::new();
        let mut noun = "";
        for part in operation.path.split('/').skip(1) {
            let parameter = part.starts_with('{');
            let id = parameter.then(|| self.ids.get(noun).unwrap_or_else(|| panic!("add one {noun} to the world")));
            address = format!("{address}/{}", id.map_or(part, String::as_str));
            noun = part;
        }
        let response = self.app.request(operation.method.clone(), &address, user, operation.body.clone()).await;
        let status = response.status.as_str();
        let responses = &operation.object["responses"];
        let documented = responses.get(status).or_else(|| responses.get("default").filter(|_| status >= "400"));
        let documented = documented.unwrap_or(&Value::Null);
        assert!(documented.is_object(), "{} responses {status}: {}", operation.id, response.text);
        let media_type = response.header("content-type").split(';').next().unwrap_or_default();
        for name in response.headers.keys().filter(|name| !EVERYWHERE.contains(&name.as_str())) {
            let mut headers = documented["headers"].as_object().into_iter().flat_map(|headers| headers.keys());
            let known = headers.any(|known| known.eq_ignore_ascii_case(name.as_str()));
            assert!(known, "{} responses {status} with {name}", operation.id);
        }
        if !response.text.is_empty() {
            assert!(documented["content"][media_type].is_object(), "{} responses {media_type}", operation.id);
        }
        response
    }
}
