//! Authentication and authorization.

use serde_json::json;

use crate::{
    app::{ApiResponse, TestApp},
    world::{Operation, World},
};

/// Operations for everybody. This list should only ever grow on purpose.
const PUBLIC: [&str; 6] =
    ["api_index", "health_read", "problem_list", "product_list", "product_read", "readiness_read"];

impl Operation {
    fn is_public(&self) -> bool {
        PUBLIC.contains(&self.id.as_str())
    }

    fn is_for_staff(&self) -> bool {
        self.path.starts_with("/v1/admin/") || self.path == "/metrics"
    }

    /// It is about an object that belongs to somebody.
    fn is_personal(&self) -> bool {
        self.path.contains('{') && !self.is_public() && !self.is_for_staff()
    }
}

async fn changes(app: &TestApp) -> i64 {
    sqlx::query_scalar("select count(*) from audit").fetch_one(&app.pool).await.expect("a count")
}

#[track_caller]
fn assert_code(operation: &Operation, who: &str, response: &ApiResponse, status: u16, code: &str) {
    assert_eq!(response.status, status, "{} for {who}: {}", operation.id, response.text);
    assert_eq!(response.json()["code"], code, "{} for {who}", operation.id);
}

#[tokio::test]
async fn operation_access_by_anonymous_customer_and_staff_matches_document() {
    let world = World::new().await;
    let operations = world.operations().await;
    assert!(operations.len() >= 85, "the document has all operations");
    assert_eq!(operations.iter().filter(|operation| operation.is_public()).count(), PUBLIC.len());
    let before = changes(&world.app).await;
    for operation in &operations {
        let ways = operation.object["security"].as_array().expect("ways to sign in");
        let secured = !ways.is_empty() && !ways.contains(&json!({}));
        assert_eq!(secured, !operation.is_public(), "{} says so in the document", operation.id);
        let anonymous = world.call(operation, None).await;
        if operation.is_public() {
            assert!(anonymous.status.is_success(), "{} for anonymous callers: {}", operation.id, anonymous.text);
        } else {
            assert_code(operation, "anonymous callers", &anonymous, 401, "unauthenticated");
            assert!(anonymous.header("www-authenticate").starts_with("Basic "), "{}", operation.id);
            // 429: it is the same wrong password each time.
            let unknown = world.call(operation, Some("nobody")).await;
            assert!([401, 429].contains(&unknown.status.as_u16()), "{} for unknown users", operation.id);
        }
    }
    for operation in operations.iter().filter(|operation| operation.is_for_staff()) {
        let customer = world.call(operation, Some("alice")).await;
        assert_code(operation, "customers", &customer, 403, "forbidden");
    }
    assert_eq!(changes(&world.app).await, before, "nothing was changed by those who were refused");
    for operation in &operations {
        let staff = world.call(operation, Some("admin")).await;
        assert!(![401, 403, 500, 503].contains(&staff.status.as_u16()), "{} for staff: {}", operation.id, staff.text);
    }
}

#[tokio::test]
async fn personal_object_of_another_user_returns_not_found() {
    let world = World::new().await;
    let operations: Vec<_> = world.operations().await.into_iter().filter(Operation::is_personal).collect();
    assert!(operations.len() >= 11, "networks, jobs, orders and bills are somebody's");
    let before = changes(&world.app).await;
    for operation in &operations {
        // Staff have addresses of their own for what is the customers'; here they are customers like others.
        let also_of_staff = ["/v1/order", "/v1/bill", "/v1/token"].iter().any(|noun| operation.path.starts_with(noun));
        for other in ["bob", "admin"].into_iter().take(1 + usize::from(also_of_staff)) {
            assert_code(operation, other, &world.call(operation, Some(other)).await, 404, "not_found");
        }
    }
    assert_eq!(changes(&world.app).await, before, "nor can it be changed");
    for operation in &operations {
        let owner = world.call(operation, Some("alice")).await;
        assert!(![401, 403, 404].contains(&owner.status.as_u16()), "{} for the owner: {}", operation.id, owner.text);
    }
}

#[tokio::test]
async fn login_with_wrong_password_or_unknown_user_returns_same_401() {
    let app = TestApp::start().await;
    let index = async |user: &str, password: &str| {
        let response = reqwest::Client::new()
            .get(app.url("/api/"))
            .basic_auth(user, Some(password))
            .send()
            .await
            .expect("a response");
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
async fn public_operation_with_invalid_authorization_header_returns_401() {
    let app = TestApp::start().await;
    for header in ["Bearer x", "Basic", "Basic !", "Digest a=b", ""] {
        let response = reqwest::Client::new()
            .get(app.url("/api/"))
            .header("authorization", header)
            .send()
            .await
            .expect("a response");
        assert_eq!(response.status().as_u16(), 401, "{header:?}");
    }
}
