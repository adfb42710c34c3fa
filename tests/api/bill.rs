//! Bills as customers see them: their own, with everything to compute them again; and the next one before it is.

use serde_json::{Value, json};
use sqlx::PgPool;
use uncloud::money::charge::BillingMode;

use crate::{
    app::TestApp,
    books::{
        ALICE, BOB, address, assert_followed_by_hand, at, bill_all, count, date_back, ledger, number, open_books,
        place, replace, sql, terms, without_defaults,
    },
};

impl TestApp {
    pub async fn start_with_books() -> Self {
        let app = Self::start().await;
        open_books(&app.pool).await;
        app
    }

    pub async fn read(&self, path: &str, user: &str) -> Value {
        self.get(path, user).await.expect(200)
    }
}

/// Alice upgrades from 10 to 20 in the middle of a prepaid period in which the VAT rate changes; Bob has one VM.
async fn upgrade_across_a_rate_change(pool: &PgPool) {
    address(pool, ALICE, "CH", false).await;
    address(pool, BOB, "DE", true).await;
    let mut first = terms(ALICE, "10.00");
    first.one_time = "25.00".parse().expect("an amount");
    let old = place(pool, &first, "2023-12-17").await;
    place(pool, &terms(BOB, "7.77"), "2023-12-20").await;
    bill_all(pool, "2023-12-31").await;
    replace(pool, &old, &terms(ALICE, "20.00"), "2024-01-03T12:34:56Z").await;
    bill_all(pool, "2024-01-31").await;
}

#[tokio::test]
async fn bill_read_after_upgrade_across_rate_change_is_recomputable() {
    let app = TestApp::start_with_books().await;
    upgrade_across_a_rate_change(&app.pool).await;
    let list = app.read("/v1/bill", "alice").await;
    let items = list["items"].as_array().expect("bills");
    assert_eq!(items.len(), 2, "{list}");
    let mut kinds = Vec::new();
    for item in items {
        let bill = app.read(&format!("/v1/bill/{}", item["id"]), "alice").await;
        assert_followed_by_hand(&bill);
        for field in [
            "id",
            "number",
            "document",
            "issue_date",
            "as_of",
            "vat_category",
            "vat_territory",
            "currency",
            "net",
            "tax",
            "gross",
            "rounding",
            "amount_due",
        ] {
            assert_eq!(bill[field], item[field], "{field}");
        }
        assert_eq!(bill["seller"]["name"], "Provider AG");
        assert_eq!(bill["customer"]["country"], "CH");
        assert!(bill.get("note").is_none(), "{bill}");
        let records = bill["records"].as_array().expect("records").clone();
        kinds.extend(records.iter().map(|record| record["kind"].as_str().expect("a kind").to_owned()));
    }
    assert_eq!(kinds, ["one_time", "recurring", "recurring", "credit", "recurring"]);
    let first = app.read(&format!("/v1/bill/{}", items[0]["id"]), "alice").await;
    let split = &first["records"][1];
    let time = |name: &str| at(split[name].as_str().expect("a time"));
    assert_eq!((time("to"), time("last_second")), (at("2023-12-31T23:00:00Z"), at("2023-12-31T22:59:59Z")));
    let text = first["lines"][1]["text"].as_str().expect("a text");
    assert_eq!(text, "VM for 10.00, 17 Dec - 31 Dec 2023 (14.95 of 30 days); then the VAT changes");
    let rates: Vec<&Value> = first["vat"].as_array().expect("groups").iter().map(|group| &group["rate"]).collect();
    assert_eq!(rates, ["0.077", "0.081"]);
    let second = app.read(&format!("/v1/bill/{}", items[1]["id"]), "alice").await;
    let credit = &second["records"][0];
    assert_eq!(credit["vat_rate"], "0.081", "the rate that was charged");
    assert_eq!(credit["corrects"], first["id"]);
    let line = &second["lines"][0];
    let text = format!(
        "Credit for unused time 3 Jan - 16 Jan 2024 (12.47 of 30 days): VM for 10.00, order 1 replaced by order 3; \
         corrects {}",
        number(1)
    );
    assert_eq!((&line["text"], &line["corrects"]["number"]), (&json!(text), &json!(number(1))));
}

#[tokio::test]
async fn bill_read_with_reverse_charge_contains_note() {
    let app = TestApp::start_with_books().await;
    upgrade_across_a_rate_change(&app.pool).await;
    let bill = app.read("/v1/bill", "bob").await["items"][0]["id"].clone();
    let bill = app.read(&format!("/v1/bill/{bill}"), "bob").await;
    assert_followed_by_hand(&bill);
    assert_eq!((&bill["vat"][0]["category"], &bill["tax"]), (&json!("AE"), &json!("0.00")));
    assert!(bill["note"].as_str().is_some_and(|note| note.contains("Reverse charge")), "{bill}");
    assert_eq!(bill["customer"]["vat_number"], "DE129273398");
}

#[tokio::test]
async fn bill_read_after_address_rate_and_seller_changes_is_unchanged() {
    let app = TestApp::start_with_books().await;
    upgrade_across_a_rate_change(&app.pool).await;
    let path = format!("/v1/bill/{}", app.read("/v1/bill", "bob").await["items"][0]["id"]);
    let before = app.read(&path, "bob").await;
    address(&app.pool, BOB, "CH", false).await;
    sql(&app.pool, "update vat_rate set rate_ppm = 99000").await;
    sql(
        &app.pool,
        "insert into seller (name, street, postal_code, city, country, time_zone, oss_eu)
         values ('Other AG', 'x', 'x', 'x', 'CH', 'Europe/Zurich', false)",
    )
    .await;
    sql(&app.pool, "update users set username = 'robert' where username = 'bob'").await;
    sql(&app.pool, "update users set username = 'bob' where username = 'robert'").await;
    assert_eq!(app.read(&path, "bob").await, before);
}

#[tokio::test]
async fn bill_read_by_customer_returns_only_own_numbered_bills() {
    let app = TestApp::start_with_books().await;
    upgrade_across_a_rate_change(&app.pool).await;
    let bill = app.read("/v1/bill", "alice").await["items"][0]["id"].clone();
    let path = format!("/v1/bill/{bill}");
    app.get(&path, "bob").await.expect(404);
    app.get(&path, "admin").await.expect(404);
    app.get("/v1/bill/999999", "alice").await.expect(404);
    app.get(&format!("/v1/admin/bill/{bill}"), "alice").await.expect(403);
    app.read(&format!("/v1/admin/bill/{bill}"), "admin").await;
    // A run that has not ended: all customers done, no numbers yet.
    place(&app.pool, &terms(ALICE, "3.00"), "2024-02-01").await;
    let mut tx = app.pool.begin().await.expect("a transaction");
    let run = uncloud::billing::run::begin_in(&mut tx, at("2024-02-01"), None).await.expect("begun");
    tx.commit().await.expect("begun");
    uncloud::billing::run::work(&app.pool, &run, |_| {}).await.expect("worked");
    let drafts = app.read(&format!("/v1/admin/bill?run={}", run.run_id), "admin").await;
    let draft = &drafts["items"][0];
    assert!(draft.get("number").is_none(), "{drafts}");
    app.get(&format!("/v1/bill/{}", draft["id"]), "alice").await.expect(404);
    assert_eq!(app.read("/v1/bill", "alice").await["items"].as_array().map(Vec::len), Some(2));
    let shown = app.read(&format!("/v1/admin/bill_run/{}", run.run_id), "admin").await;
    assert_eq!((&shown["customers"], &shown["customers_done"]), (&json!(1), &json!(1)));
    assert!(shown.get("finished_at").is_none(), "{shown}");
    uncloud::billing::run::finish(&app.pool, &run).await.expect("finished");
    assert_eq!(app.read("/v1/bill", "alice").await["items"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn bill_list_with_limit_time_and_currency_returns_matching_pages() {
    let app = TestApp::start_with_books().await;
    address(&app.pool, ALICE, "CH", false).await;
    place(&app.pool, &terms(ALICE, "1.00"), "2024-01-01").await;
    let mut euros = terms(ALICE, "2.00");
    euros.currency = "EUR".parse().expect("a currency");
    place(&app.pool, &euros, "2024-01-01").await;
    for day in ["2024-01-01", "2024-02-01", "2024-03-01"] {
        bill_all(&app.pool, day).await;
    }
    date_back(&app.pool).await;
    let ids = |page: &Value| {
        page["items"].as_array().expect("bills").iter().map(|bill| bill["id"].clone()).collect::<Vec<_>>()
    };
    let all = ids(&app.read("/v1/bill", "alice").await);
    assert_eq!(all.len(), 6, "one for each currency and run");
    let first = app.read("/v1/bill?limit=4", "alice").await;
    let rest = app.read(&format!("/v1/bill?limit=4&cursor={}", first["next"].as_str().expect("more")), "alice").await;
    assert_eq!([ids(&first), ids(&rest)].concat(), all);
    assert!(rest.get("next").is_none());
    let february = app.read("/v1/bill?from=2024-02-01&to=2024-03-01", "alice").await;
    assert_eq!(ids(&february), all[2..4]);
    let chf = app.read("/v1/bill?currency=EUR", "alice").await;
    assert!(
        ids(&chf).len() == 3 && chf["items"].as_array().expect("bills").iter().all(|bill| bill["currency"] == "EUR")
    );
    for wrong in
        ["currency=chf", "from=yesterday", "limit=0", "cursor=x", "from=2024-02-30", "from=2024-02-01T00:00:00Z"]
    {
        app.get(&format!("/v1/bill?{wrong}"), "alice").await.expect(400);
    }
}

#[tokio::test]
async fn bill_preview_before_run_equals_next_bill_and_writes_nothing() {
    let app = TestApp::start_with_books().await;
    address(&app.pool, ALICE, "CH", false).await;
    let mut arrears = terms(ALICE, "9.00");
    arrears.billing_mode = BillingMode::Arrears;
    place(&app.pool, &terms(ALICE, "10.00"), "2024-05-01").await;
    place(&app.pool, &arrears, "2024-05-01").await;
    let preview = app.read("/v1/bill/preview?as_of=2024-06-15T00:00:00Z", "alice").await;
    assert_eq!(preview["problems"], json!([]));
    let draft = &preview["bills"][0];
    assert_followed_by_hand(draft);
    assert_eq!(draft["net"], "29.00");
    assert!(draft.get("number").is_none() && draft.get("id").is_none(), "{draft}");
    assert_eq!(
        count(&app.pool, "bill_run").await + count(&app.pool, "bill").await + count(&app.pool, "bill_record").await,
        0
    );
    let same = app.read(&format!("/v1/admin/user/{ALICE}/bill/preview?as_of=2024-06-15T00:00:00Z"), "admin").await;
    assert_eq!(same, preview);
    // What it said is what comes.
    bill_all(&app.pool, "2024-06-15").await;
    let bill = app.read("/v1/bill", "alice").await["items"][0]["id"].clone();
    let bill = app.read(&format!("/v1/bill/{bill}"), "alice").await;
    for field in ["records", "vat", "net", "tax", "gross", "amount_due", "seller", "customer", "lines", "as_of"] {
        assert_eq!(bill[field], draft[field], "{field}");
    }
    let empty = app.read("/v1/bill/preview?as_of=2024-06-15T00:00:00Z", "alice").await;
    assert_eq!((&empty["bills"], &empty["problems"]), (&json!([]), &json!([])));
    app.get("/v1/bill/preview?as_of=2099-01-01T00:00:00Z", "alice").await.expect(400);
    app.get("/v1/admin/user/999/bill/preview", "admin").await.expect(404);
}

#[tokio::test]
async fn bill_preview_with_missing_prerequisites_lists_problems() {
    let app = TestApp::start().await;
    without_defaults(&app.pool).await;
    let codes = async || {
        let preview = app.read("/v1/bill/preview", "alice").await;
        assert_eq!(preview["bills"], json!([]), "{preview}");
        preview["problems"]
            .as_array()
            .expect("problems")
            .iter()
            .map(|problem| problem["code"].clone())
            .collect::<Vec<_>>()
    };
    place(&app.pool, &terms(ALICE, "10.00"), "2009-05-01").await;
    assert_eq!(codes().await, ["no_seller"]);
    open_books(&app.pool).await;
    assert_eq!(codes().await, ["no_billing_address"]);
    address(&app.pool, ALICE, "CH", false).await;
    assert_eq!(codes().await, ["no_vat_rate"], "of 2009 none is known");
    assert_eq!(ledger(&app.pool).await, Vec::<Value>::new());
    let anonymous = app.request(reqwest::Method::GET, "/v1/bill/preview", None, None).await;
    anonymous.expect(401);
}
