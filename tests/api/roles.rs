//! A server whose role of PostgreSQL owns nothing.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uncloud_testkit::servers::{PostgresServer, RedisServer};

use crate::{
    app::{HOST, PASSWORD, database_url, new_key},
    cli::{beside, run, uncloud},
    servers::Server,
};

/// Unlike the tables, roles belong to the whole server of PostgreSQL.
const ROLE: &str = "uncloud_api";

#[tokio::test]
async fn server_whose_role_owns_nothing_serves_and_cannot_change_the_schema() {
    let (owner, redis) = (database_url().await, RedisServer::start());
    let mut admin = PgConnection::connect(owner.expose()).await.expect("PostgreSQL");
    sqlx::query(AssertSqlSafe(format!("create role {ROLE} login"))).execute(&mut admin).await.expect("a role");
    let url = uncloud_wire::Secret::new(owner.expose().replace("user=uncloud", &format!("user={ROLE}")));
    let mut migrate = uncloud(&["migrate", "--grant-to", ROLE]);
    migrate.env("DATABASE_URL", owner.expose());
    assert!(beside(move || run(&mut migrate, "")).await.status.success());

    let server = Server::start(&url, &redis, &[]).await;
    let call = async |method: Method, path: &str, user: &str, body: Value| {
        let request = Client::new().request(method, format!("http://{}{path}", server.address));
        let response = request.basic_auth(user, Some(PASSWORD)).json(&body).send().await.expect("a response");
        let (status, text) = (response.status(), response.text().await.expect("text"));
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str::<Value>(&text).unwrap_or_default()
    };
    let seller = json!({ "name": "Provider AG", "street": "Weg 1", "postal_code": "8000", "city": "Zurich",
        "country": "CH", "vat_number": "CHE-123.456.788 MWST", "time_zone": "Europe/Zurich" });
    call(Method::PUT, "/v1/admin/seller", "admin", seller).await;
    let address =
        json!({ "name": "Alice", "street": "Seeweg 1", "postal_code": "8750", "city": "Glarus", "country": "CH" });
    call(Method::PUT, "/v1/billing_address", "alice", address).await;
    let pool = json!({ "network": "2a0a:e5c1:200::", "network_size": 40, "subnetwork_size": 48, "vpn_hostname": HOST });
    call(Method::POST, "/v1/admin/vpnpool", "admin", pool).await;
    let network = json!({ "network_size": 48, "wireguard_public_key": new_key().to_string() });
    call(Method::POST, "/v1/net/vpn", "alice", network).await;
    let token = call(Method::POST, "/v1/token", "alice", json!({ "name": "laptop", "scopes": ["read"] })).await;
    let line = json!({ "description": "Work", "net": "10.00", "currency": "CHF", "reason": "ticket 1" });
    call(Method::POST, "/v1/admin/user/2/bill_item", "admin", line).await;
    let billed = call(Method::POST, "/v1/admin/user/2/bill", "admin", json!({})).await;
    assert!(billed["bills"][0]["number"].is_string(), "{billed}");
    call(Method::DELETE, &format!("/v1/token/{}", token["id"]), "alice", json!({})).await;
    assert!(server.terminate().await.success());

    let mut session = PgConnection::connect(url.expose()).await.expect("PostgreSQL");
    for change in [
        "alter table users add column x integer",
        "drop table bill",
        "alter table bill disable trigger all",
        "truncate audit",
        "create table x (y integer)",
        "update _sqlx_migrations set success = false",
    ] {
        let refused = sqlx::query(change).execute(&mut session).await.expect_err(change);
        let is_denied = refused.as_database_error().is_some_and(|error| error.code().as_deref() == Some("42501"));
        assert!(is_denied, "{change}: {refused}");
    }
    drop((session, admin));
    let database = owner.expose().split(['/', '?']).nth(3).expect("a name").to_owned();
    PostgresServer::shared().drop_database(&database).await;
}
