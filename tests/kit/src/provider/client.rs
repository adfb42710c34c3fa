//! Requests to the API over HTTP, for tests that are not asynchronous.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{fixtures::HOST, wait::wait_until};

/// The time limit of requests other than long polls. Responses come much sooner, on a busy machine too.
const SHORT_LIMIT: Duration = Duration::from_secs(10);

/// The time limit of long polls, which wait for up to 30 seconds.
const LONG_LIMIT: Duration = Duration::from_secs(40);

/// A client that makes requests as one user.
#[derive(Debug, Clone)]
pub struct ApiClient {
    client: reqwest::Client,
    runtime: Arc<Runtime>,
    base: String,
    user: String,
    password: String,
    /// Counts the server's starts and ends.
    server_changes: Arc<AtomicUsize>,
}

/// A response of the API.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body.
    pub text: String,
}

impl Response {
    /// Returns the body as JSON; panics when the status is another one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }
}

impl ApiClient {
    /// Makes a client for the server at `address`.
    pub fn new(runtime: &Arc<Runtime>, address: &str, user: &str, password: &str) -> Self {
        let client = reqwest::Client::builder().timeout(LONG_LIMIT).build().expect("client");
        let base = format!("http://{address}");
        let (user, password) = (user.to_owned(), password.to_owned());
        Self { client, runtime: Arc::clone(runtime), base, user, password, server_changes: Arc::default() }
    }

    /// Lets requests fail while the server is being changed; `changes` counts its starts and ends.
    pub(super) fn of_changing_server(mut self, changes: &Arc<AtomicUsize>) -> Self {
        self.server_changes = Arc::clone(changes);
        self
    }

    /// Makes a request. Only a missing response is an error. A server that lives all the while has to respond
    /// in time.
    pub fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response, reqwest::Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if !path.contains("wait=") {
            request = request.timeout(SHORT_LIMIT);
        }
        request = request.basic_auth(&self.user, Some(&self.password));
        if let Some(body) = body {
            request = request.json(body);
        }
        let changes = self.server_changes.load(Ordering::SeqCst);
        let response = self.runtime.block_on(async {
            let response = request.send().await?;
            Ok(Response { status: response.status().as_u16(), text: response.text().await? })
        });
        let timed_out = response.as_ref().is_err_and(reqwest::Error::is_timeout);
        assert!(!timed_out || self.server_changes.load(Ordering::SeqCst) != changes, "no response in time: {path}");
        response
    }

    /// Makes a GET request.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path, None).expect("a response")
    }

    /// Makes a POST request.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path, Some(body)).expect("a response")
    }

    /// Makes a PATCH request.
    #[track_caller]
    pub fn patch(&self, path: &str, body: &Value) -> Response {
        self.request(Method::PATCH, path, Some(body)).expect("a response")
    }

    /// Makes a DELETE request.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path, None).expect("a response")
    }

    /// Creates the handbook's pool on [`HOST`]; as staff.
    pub fn create_pool(&self) -> Value {
        let body = json!({
            "network": "2a0a:e5c1:200::", "network_size": "40", "subnetwork_size": "48", "vpn_hostname": HOST,
        });
        self.post("/v1/admin/vpnpool/", &body).expect(201)
    }

    /// Allows every customer 1000 networks; as staff.
    pub fn raise_quotas(&self) {
        for user in self.get("/v1/admin/user").expect(200)["items"].as_array().expect("users") {
            self.patch(&format!("/v1/admin/user/{}", user["id"]), &json!({ "vpn_quota": 1000 })).expect(200);
        }
    }

    /// Creates a network for a WireGuard public key.
    pub fn create_network(&self, public_key: &impl ToString) -> Value {
        let body = json!({ "network_size": "48", "wireguard_public_key": public_key.to_string() });
        self.post("/v1/net/vpn/", &body).expect(201)
    }

    /// Waits for the job of a network or pool; panics unless it succeeds.
    #[track_caller]
    pub fn job_succeeds(&self, resource: &Value) {
        let id = resource["job"]["id"].as_i64().unwrap_or_else(|| panic!("no job in {resource}"));
        let job = self.get(&format!("/v1/job/{id}?wait=30")).expect(200);
        assert_eq!(job["state"], "succeeded", "{job}");
    }

    /// Waits until a network is active, and returns it.
    #[track_caller]
    pub fn becomes_active(&self, network: &Value) -> Value {
        let path = format!("/v1/net/vpn/{}", network["id"]);
        let mut last = Value::Null;
        wait_until("the network becomes active", || {
            last = self.get(&path).expect(200);
            last["status"] == "active"
        });
        last
    }
}
