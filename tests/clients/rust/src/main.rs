//! progenitor's client, called as a customer's program would call it.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use types::{
    BillingAddressUpdatePostalCode, Id, Job, JobRef, JobState, NetworkStatus, OrderStatus, Scope, SellerUpdate,
};

progenitor::generate_api!(spec = "openapi.json", interface = Builder);

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

fn signing_in(how: &str, secret: &str) -> Client {
    let value = format!("{how} {secret}").parse().expect("a value");
    let headers = [("authorization".parse().expect("a name"), value)].into_iter().collect();
    let http = reqwest::Client::builder().default_headers(headers).build().expect("a client");
    Client::new_with_client(&env("UNCLOUD_URL"), http)
}

/// A program signs in with a token, which its user makes with the password.
async fn caller(user: &str, scopes: &[Scope]) -> Client {
    let with_password = signing_in("Basic", &STANDARD.encode(format!("{user}:{}", env("UNCLOUD_PASSWORD"))));
    let token = with_password.token_create().body_map(|token| token.name("example").scopes(scopes.to_vec()));
    let token = token.send().await.expect("made").into_inner();
    signing_in("Bearer", &token.secret.expect("shown once"))
}

async fn succeeded(asking: &Client, job: Option<JobRef>) -> Job {
    let job = job.expect("a job");
    let ended = asking.job_read().id(job.id).wait(30).send().await.expect("read").into_inner();
    assert_eq!(ended.state, JobState::Succeeded);
    ended
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let staff = caller("admin", &[Scope::Read, Scope::Write, Scope::Staff]).await;
    let customer = caller(&env("UNCLOUD_CUSTOMER"), &[Scope::Read, Scope::Write]).await;
    network(&staff, &customer).await;
    seller(&staff).await;
    let order = order(&customer).await;
    bill(&staff, &customer, order).await;
    match customer.vpn_read().id(NonZeroU64::new(4711).expect("an id")).send().await {
        Err(Error::ErrorResponse(refused)) => assert_eq!((refused.status, refused.code.as_str()), (404, "not_found")),
        other => panic!("{other:?}"),
    }
}

/// A pool of prefixes, and a network of it.
async fn network(staff: &Client, customer: &Client) {
    let pool = staff.admin_vpnpool_create().body_map(|pool| {
        pool.network("2001:db8:400::/40")
            .subnetwork_size(number(48))
            .vpn_hostname(env("UNCLOUD_HOST"))
            .listen_port(number(51824))
    });
    let pool = pool.send().await.expect("made").into_inner();
    assert_eq!(pool.network.as_str(), "2001:db8:400::/40");
    succeeded(staff, pool.job).await;

    let key = env("UNCLOUD_PUBLIC_KEY");
    let network =
        customer.vpn_create().body_map(|network| network.network_size(number(48)).wireguard_public_key(key.as_str()));
    let network = network.send().await.expect("made").into_inner();
    succeeded(customer, network.job).await;
    let network = customer.vpn_read().id(network.id).send().await.expect("read").into_inner();
    assert_eq!((network.status, network.wireguard_public_key.as_str()), (NetworkStatus::Active, key.as_str()));
}

/// The seller, in whose name bills are.
async fn seller(staff: &Client) {
    let seller = serde_json::json!({
        "name": "Provider AG", "street": "Bahnhofstrasse 1", "postal_code": "8783", "city": "Linthal", "country": "CH",
        "vat_number": "CHE-123.456.788 MWST", "time_zone": "Europe/Zurich",
        "accounts": [{ "currency": "CHF", "iban": "CH93 0076 2011 6238 5295 7" }],
    });
    let seller: SellerUpdate = serde_json::from_value(seller).expect("a seller");
    let seller = staff.admin_seller_update().body(seller).send().await.expect("set").into_inner();
    assert_eq!(seller.accounts[0].iban.as_str(), "CH9300762011623852957");
}

/// An order. Money is text, to the cent.
async fn order(customer: &Client) -> Id {
    let address = customer.billing_address_update().body_map(|address| {
        let address = address.name("Alice Example").street("Hauptstrasse 1").city("Linthal").country("CH");
        address.postal_code("8783".parse::<BillingAddressUpdatePostalCode>().expect("short"))
    });
    address.send().await.expect("set");
    let order = customer.order_create().body_map(|order| {
        let parameters = [("cores".into(), 2.into()), ("memory_gb".into(), 4.into())];
        let order = order.product("ipv6-vm").currency("CHF");
        order
            .parameters(parameters.into_iter().collect::<serde_json::Map<String, serde_json::Value>>())
            .recurring_period(Some("P30D".parse().expect("a period")))
    });
    let order = order.send().await.expect("ordered").into_inner();
    assert_eq!((order.status, &**order.recurring, &**order.one_time), (OrderStatus::Active, "28.00", "0.00"));
    order.id
}

/// A bill run, and the bill.
async fn bill(staff: &Client, customer: &Client, order: Id) {
    let run = staff.admin_bill_run_create().body_map(|run| run).send().await.expect("begun").into_inner();
    let result = succeeded(staff, Some(run.job)).await.result.expect("a result");
    let run: Id = serde_json::from_value(result["run"].clone()).expect("an id");
    let until = Instant::now() + Duration::from_secs(30);
    while staff.admin_bill_run_read().id(run.clone()).send().await.expect("read").finished_at.is_none() {
        assert!(Instant::now() < until, "the run does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let listed = customer.bill_list().send().await.expect("listed").into_inner();
    let bill = customer.bill_read().id(listed.items[0].id.clone()).send().await.expect("read").into_inner();
    let amounts = [&bill.net, &bill.tax, &bill.gross, &bill.amount_due].map(|money| money.as_str());
    assert_eq!(amounts, ["28.00", "2.27", "30.27", "30.27"]);
    let record =
        bill.records.iter().find(|record| record.order_id.as_deref() == Some(&*order)).expect("a record of the order");
    assert_eq!(
        [record.unit_price.as_str(), record.net.as_str(), record.vat_rate.as_str()],
        ["28.00", "28.00", "0.081"]
    );
}
