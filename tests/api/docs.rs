//! The docs page in a real browser, which finds nothing else than this server: Chromium, driven over WebDriver.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::app::{PASSWORD, TestApp, new_key};

const PATIENCE: Duration = Duration::from_mins(1);
/// The name that WebDriver gives to the member with an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Ended with all its browsers, unless the test is killed.
struct Driver {
    process: Child,
    url: String,
}

impl Driver {
    fn start() -> Self {
        let command = &mut Command::new("chromedriver");
        let mut process = command.arg("--port=0").stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("driver");
        let mut lines = BufReader::new(process.stdout.take().expect("stdout")).lines();
        let port = lines.find_map(|line| {
            let line = line.expect("text");
            let (_, port) = line.split_once("successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url: format!("http://127.0.0.1:{}", port.expect("a port")) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A browser with one page.
#[derive(Clone)]
struct Browser {
    client: reqwest::Client,
    session: String,
}

impl Browser {
    async fn start(driver: &Driver) -> Self {
        let options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,2000",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ] });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let mut browser = Self { client: reqwest::Client::new(), session: format!("{}/session", driver.url) };
        let session = browser.post("", json!({ "capabilities": { "alwaysMatch": wanted } })).await;
        let session = session.expect("a browser");
        browser.session = format!("{}/{}", browser.session, session["sessionId"].as_str().expect("an id"));
        browser
    }

    async fn post(&self, command: &str, body: Value) -> Result<Value, String> {
        let response = self.client.post(format!("{}{command}", self.session)).json(&body).send().await.expect("driver");
        let (failed, answer) = (!response.status().is_success(), response.json::<Value>().await.expect("JSON"));
        if failed { Err(answer["value"]["message"].to_string()) } else { Ok(answer["value"].clone()) }
    }

    async fn quit(self) {
        self.client.delete(self.session).send().await.expect("driver");
    }

    /// Does something with the first element that the selector finds, as soon as that works.
    async fn with(&self, selector: &str, command: &str, body: Value) {
        let started = Instant::now();
        loop {
            let found = self.post("/element", json!({ "using": "css selector", "value": selector })).await;
            let done = match found {
                Ok(element) => {
                    let id = element[ELEMENT].as_str().expect("an element").to_owned();
                    self.post(&format!("/element/{id}/{command}"), body.clone()).await
                }
                Err(error) => Err(error),
            };
            let Err(error) = done else { return };
            assert!(started.elapsed() < PATIENCE, "{selector}, {command}: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn click(&self, selector: &str) {
        self.with(selector, "click", json!({})).await;
    }

    async fn fill(&self, selector: &str, text: &str) {
        self.with(selector, "clear", json!({})).await;
        self.with(selector, "value", json!({ "text": text })).await;
    }

    async fn text(&self, selector: &str) -> Option<String> {
        let script = "return document.querySelector(arguments[0])?.innerText";
        let text = self.post("/execute/sync", json!({ "script": script, "args": [selector] })).await.expect("a text");
        text.as_str().map(str::to_owned)
    }

    /// Opens an operation of the page to be tried.
    async fn try_out(&self, operation: &str) {
        self.click(&format!("{operation} .opblock-summary-control")).await;
        self.click(&format!("{operation} .try-out__btn")).await;
    }

    /// Sends what is filled in. Returns the status and the body as the page shows them.
    async fn execute(&self, operation: &str) -> (String, Value) {
        self.click(&format!("{operation} .execute")).await;
        let answer = format!("{operation} .live-responses-table .response");
        let (status, body) = (format!("{answer} .response-col_status"), format!("{answer} .highlight-code pre"));
        let started = Instant::now();
        loop {
            if let (Some(status), Some(body)) = (self.text(&status).await, self.text(&body).await)
                && let Ok(body) = serde_json::from_str(&body)
            {
                return (status.trim().to_owned(), body);
            }
            assert!(started.elapsed() < PATIENCE, "{operation}: {:?}", self.text(operation).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn a_person_orders_a_network(browser: Browser, docs: String, key: String) {
    browser.post("/url", json!({ "url": docs })).await.expect("a page");
    browser.click(".btn.authorize").await;
    browser.fill("#auth-basic-username", "alice").await;
    browser.fill("#auth-basic-password", PASSWORD).await;
    browser.click(".auth-container:has(#auth-basic-username) .btn.authorize").await;
    browser.click(".btn-done").await;

    let create = "#operations-vpn-vpn_create";
    browser.try_out(create).await;
    let body = json!({ "network_size": 48, "wireguard_public_key": key }).to_string();
    browser.fill(&format!("{create} .body-param__text"), &body).await;
    let (status, network) = browser.execute(create).await;
    assert_eq!(status, "201", "{network}");

    let read = "#operations-jobs-job_read";
    browser.try_out(read).await;
    browser.fill(&format!("{read} tr[data-param-name=id] input"), &network["job"]["id"].to_string()).await;
    browser.fill(&format!("{read} tr[data-param-name=wait] input"), "30").await;
    let (status, job) = browser.execute(read).await;
    assert_eq!((status.as_str(), &job["state"]), ("200", &json!("succeeded")), "{job}");

    let log = browser.post("/se/log", json!({ "type": "browser" })).await.expect("a log");
    let errors: Vec<&Value> =
        log.as_array().expect("entries").iter().filter(|entry| entry["level"] == "SEVERE").collect();
    assert!(errors.is_empty(), "nothing is refused by the page's policy, and nothing missing: {errors:#?}");
}

#[tokio::test]
async fn docs_page_in_browser_without_internet_can_order_a_network() {
    let app = TestApp::start().await;
    app.obedient_worker();
    app.handbook_pool().await;
    let driver = Driver::start();
    let browser = Browser::start(&driver).await;
    let walk = a_person_orders_a_network(browser.clone(), app.url("/docs"), new_key().to_string());
    let walked = tokio::spawn(walk).await;
    browser.quit().await; // also after a failure: the driver leaves browsers behind
    walked.expect("no panic");
}
