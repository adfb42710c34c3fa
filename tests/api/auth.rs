//! Who may do what.

use reqwest::Method;

use crate::app::TestApp;

/// Operations for everybody. This list should only ever grow on purpose.
const PUBLIC: [&str; 5] = ["/api", "/healthz", "/readyz", "/v1/product", "/v1/product/{id}"];

#[tokio::test]
async fn every_operation_says_whom_it_lets_in() {
    let app = TestApp::start().await;
    let document = app.request(Method::GET, "/openapi.json", None, None).await.expect(200);
    let mut walked = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let id = operation["operationId"].as_str().expect("an id");
            let method: Method = method.to_uppercase().parse().expect("a method");
            let address = path.replace("{id}", "1");
            let ask = async |user| app.request(method.clone(), &address, user, None).await;
            let public = PUBLIC.contains(&path.as_str());
            let anonymous = ask(None).await;
            assert_eq!(anonymous.status != 401, public, "{id} for anonymous callers: {}", anonymous.text);
            if !public {
                assert!(anonymous.header("www-authenticate").starts_with("Basic "), "{id}");
                // 429: it is the same wrong password each time.
                assert!([401, 429].contains(&ask(Some("nobody")).await.status.as_u16()), "{id} for unknown users");
            }
            let customer = ask(Some("alice")).await;
            let staff_only = path.starts_with("/v1/admin/") || path == "/metrics";
            assert_eq!(customer.status == 403, staff_only, "{id} for customers: {}", customer.text);
            assert!(![401, 403, 500].contains(&ask(Some("admin")).await.status.as_u16()), "{id} for staff");
            walked += 1;
        }
    }
    assert!(walked >= 13, "the document has all operations");
}

#[tokio::test]
async fn passwords_are_checked_each_time_and_say_nothing_about_users() {
    let app = TestApp::start().await;
    let index = async |user: &str, password: &str| {
        let response = reqwest::Client::new()
            .get(app.url("/api/"))
            .basic_auth(user, Some(password))
            .send()
            .await
            .expect("an answer");
        (response.status().as_u16(), response.text().await.expect("a body"))
    };
    let good = index("Alice", crate::app::PASSWORD).await;
    assert_eq!(good.0, 200);
    assert!(good.1.contains("\"username\":\"alice\"") && good.1.contains("vpn_create") && !good.1.contains("vpnpool"));
    assert_eq!(index("alice", crate::app::PASSWORD).await.0, 200, "remembered");
    let detail = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON")["detail"].clone();
    let (wrong, unknown) = (index("alice", "wrong").await, index("mallory", "wrong").await);
    assert_eq!((wrong.0, unknown.0), (401, 401));
    assert_eq!(detail(&wrong.1), detail(&unknown.1));
    for (user, password) in [("alice", ""), ("", ""), ("alice)(uid=*", "x"), ("admin\0", crate::app::PASSWORD)] {
        assert_eq!(index(user, password).await.0, 401, "{user:?}");
    }
}

#[tokio::test]
async fn what_is_no_basic_authentication_is_refused_even_where_nobody_needs_it() {
    let app = TestApp::start().await;
    for header in ["Bearer x", "Basic", "Basic !", "Digest a=b", ""] {
        let response = reqwest::Client::new()
            .get(app.url("/api/"))
            .header("authorization", header)
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status().as_u16(), 401, "{header:?}");
    }
}
