//! Parts that tests of bills share: a seller, customers with addresses and orders, runs, and bills computed again.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use uncloud::{
    billing::run,
    money::{
        Order,
        charge::{BillingMode, UpgradeCredit},
        period::{RecurringPeriod, Unit},
    },
    orders::{self, NewOrder, Replaced},
    services::ServiceChange,
};

use crate::app::database;

/// Users of every test's database, in the order in which they were made.
pub const ADMIN: i64 = 1;
pub const ALICE: i64 = 2;
pub const BOB: i64 = 3;

pub fn at(text: &str) -> DateTime<Utc> {
    let text = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    text.parse().expect("RFC 3339")
}

pub async fn execute(pool: &PgPool, sql: &str) -> sqlx::Result<()> {
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(pool).await.map(drop)
}

pub async fn sql(pool: &PgPool, sql: &str) {
    execute(pool, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

pub async fn count(pool: &PgPool, from: &str) -> i64 {
    let sql = format!("select count(*) from {from}");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await.expect("a count")
}

/// Takes away the seller and the rates that an installation starts with.
pub async fn without_defaults(pool: &PgPool) {
    sql(pool, "alter table seller disable trigger user").await;
    sql(pool, "delete from seller").await;
    sql(pool, "alter table seller enable trigger user").await;
    sql(pool, "delete from vat_rate").await;
}

/// A Swiss seller, and the rates of Switzerland and Germany.
pub async fn open_books(pool: &PgPool) {
    sql(pool, "delete from vat_rate").await;
    sql(
        pool,
        "insert into seller (name, street, postal_code, city, country, vat_number, time_zone, oss_eu) values
            ('Provider AG', 'Bahnhofstrasse 1', '8783', 'Linthal', 'CH', 'CHE123456788MWST', 'Europe/Zurich', true)",
    )
    .await;
    sql(
        pool,
        "insert into vat_rate (territory, starts_on, ends_on, rate_ppm, source) values
            ('CH', '2011-01-01', '2018-01-01', 80000, 'test'),
            ('CH', '2018-01-01', '2024-01-01', 77000, 'test'),
            ('CH', '2024-01-01', null, 81000, 'test'),
            ('DE', '2021-01-01', null, 190000, 'test')",
    )
    .await;
}

/// Sets where a customer's bills go; a business has a VAT number that staff have verified.
pub async fn address(pool: &PgPool, user_id: i64, country: &str, business: bool) {
    sql(
        pool,
        &format!("update billing_address set replaced_at = now() where user_id = {user_id} and replaced_at is null"),
    )
    .await;
    let (company, number, verified, evidence) = if business {
        ("'Muster GmbH'", "'DE129273398'", "now()", "'VIES, 1 March'")
    } else {
        ("null", "null", "null", "null")
    };
    sql(
        pool,
        &format!(
            "insert into billing_address (user_id, name, company, street, postal_code, city, country, vat_number,
                 vat_verified_at, vat_evidence)
             values ({user_id}, 'Customer {user_id}', {company}, 'Weg 2', '8000', 'Ort', '{country}', {number}, {verified},
                 {evidence})"
        ),
    )
    .await;
}

/// So many more customers with Swiss addresses; their ids.
pub async fn customers(pool: &PgPool, how_many: i64) -> Vec<i64> {
    let sql = format!(
        "with new as (insert into users (username) select 'c' || n from generate_series(1, {how_many}) n returning user_id),
         addresses as (insert into billing_address (user_id, name, street, postal_code, city, country)
             select user_id, 'Customer', 'Weg 1', '8000', 'Ort', 'CH' from new)
         select user_id from new order by 1"
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(pool).await.expect("customers")
}

/// Terms of an order: `recurring` for each 30 days, in advance.
pub fn terms(user_id: i64, recurring: &str) -> NewOrder {
    NewOrder {
        user_id,
        ordered_by: None,
        product_id: None,
        description: format!("VM for {recurring}"),
        descriptions: BTreeMap::new(),
        parameters: json!({}),
        currency: "CHF".parse().expect("a currency"),
        one_time: "0.00".parse().expect("an amount"),
        recurring: recurring.parse().expect("an amount"),
        period: Some(days(30)),
        billing_mode: BillingMode::Advance,
        commitment_periods: 1,
        upgrade_credit: UpgradeCredit::Prorate,
        zone: Tz::Europe__Zurich,
        parts: Vec::new(),
    }
}

pub fn days(count: i32) -> RecurringPeriod {
    RecurringPeriod::new(Unit::Day, count).expect("a period")
}

pub async fn place(pool: &PgPool, new: &NewOrder, starts_at: &str) -> Order {
    let mut tx = pool.begin().await.expect("a transaction");
    let order = orders::place(&mut tx, at(starts_at), at(starts_at), new).await.expect("placed");
    tx.commit().await.expect("placed");
    order
}

pub async fn replace(pool: &PgPool, old: &Order, new: &NewOrder, now: &str) -> Replaced {
    let mut tx = pool.begin().await.expect("a transaction");
    let replaced = orders::replace(&mut tx, at(now), old.order_id, new, ServiceChange::AtEnd).await.expect("replaced");
    tx.commit().await.expect("replaced");
    replaced
}

pub async fn cancel(pool: &PgPool, order: &Order, now: &str) -> Order {
    let mut tx = pool.begin().await.expect("a transaction");
    let user = order.user_id;
    let order = orders::cancel(&mut tx, at(now), order.order_id, user, ServiceChange::AtEnd).await.expect("cancelled");
    tx.commit().await.expect("cancelled");
    order
}

/// A whole run; its id.
pub async fn bill_all(pool: &PgPool, as_of: &str) -> i64 {
    run::complete(pool, at(as_of), 1, |_| {}).await.expect("a run")
}

/// The number that the `sequence`-th bill of this year has.
pub fn number(sequence: u32) -> String {
    format!("{}-{sequence:06}", this_year())
}

/// Bills are dated when they are made, at the seller's place.
pub fn this_year() -> i32 {
    Utc::now().with_timezone(&Tz::Europe__Zurich).year()
}

/// Sets the issue dates of all bills to the days up to which they bill, as if each had been made then.
pub async fn date_back(pool: &PgPool) {
    sql(pool, "alter table bill_number disable trigger user").await;
    sql(
        pool,
        "update bill_number set year = extract(year from as_of), sequence = 1000 + bill.bill_id, issue_date = as_of::date
         from bill join bill_run using (run_id) where bill.bill_id = bill_number.bill_id",
    )
    .await;
    sql(
        pool,
        "update bill_number set sequence = place from (
             select bill_id, row_number() over (partition by year order by bill_id) as place from bill_number) places
         where places.bill_id = bill_number.bill_id",
    )
    .await;
    sql(pool, "alter table bill_number enable trigger user").await;
}

/// All bills with all that is on them but for ids that the order of work decides; by number.
pub async fn ledger(pool: &PgPool) -> Vec<Value> {
    sqlx::query_scalar(
        "select json_build_object('number', bill_number_text(year, sequence), 'user', bill.user_id, 'currency', currency,
             'category', vat_category, 'territory', territory, 'as_of', as_of,
             'net', net_cents, 'tax', tax_cents, 'gross', gross_cents, 'amount_due', amount_due_cents,
             'charges', (select json_agg(to_jsonb(c) - 'bill_id' order by order_id, charge_from)
                         from bill_charge c where c.bill_id = bill.bill_id),
             'records', (select json_agg(to_jsonb(r) - 'bill_id' - 'corrects_bill_id' order by position)
                         from bill_record r where r.bill_id = bill.bill_id),
             'vat', (select json_agg(to_jsonb(v) - 'bill_id' order by vat_group) from bill_vat v where v.bill_id = bill.bill_id),
             'content', content)
         from bill join bill_run using (run_id) left join bill_number using (bill_id)
         order by year, sequence, bill.user_id",
    )
    .fetch_all(pool)
    .await
    .expect("the ledger")
}

/// Sum of an order's records, in cents.
pub async fn net_of(pool: &PgPool, order_id: i64) -> i64 {
    let sum: Option<i64> = sqlx::query_scalar(
        "select sum(net_cents)::bigint from (
             select net_cents from bill_charge where order_id = $1
             union all select net_cents from bill_record where order_id = $1) record",
    )
    .bind(order_id)
    .fetch_one(pool)
    .await
    .expect("a sum");
    sum.unwrap_or(0)
}

/// Nothing to find for `uncloud bill verify`.
pub async fn assert_sound(pool: &PgPool) {
    let faults = uncloud::billing::verify::verify(pool).await.expect("verified");
    assert!(faults.is_empty(), "{faults:?}");
}

/// An amount in cents.
fn cents(value: &Value) -> i128 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not a text"));
    text.replace('.', "").parse().unwrap_or_else(|_| panic!("{text} is not a number"))
}

/// A price or a quantity in millionths.
fn millionths(value: &Value) -> i128 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not a text"));
    let (whole, decimals) = text.split_once('.').unwrap_or_else(|| panic!("{text} has no decimals"));
    format!("{whole}{decimals:0<6}").parse().unwrap_or_else(|_| panic!("{text} is not a number"))
}

fn round(numerator: i128, denominator: i128) -> i128 {
    numerator.signum() * ((2 * numerator.abs() + denominator) / (2 * denominator))
}

fn assert_record_followed_by_hand(record: &Value) {
    let price = millionths(&record["unit_price"]);
    let time = |name: &str| at(record[name].as_str().expect("a time"));
    let seconds = record["seconds"].as_i64().expect("seconds");
    assert_eq!((time("to") - time("from")).num_seconds(), seconds, "{record}");
    let net = cents(&record["net"]);
    let expected = match record["period_seconds"].as_i64() {
        None => round(price, 10_000) * net.signum(),
        Some(period) => {
            assert_eq!(time("last_second"), time("to") - TimeDelta::seconds(1));
            let whole = record["elapsed_periods"].as_i64().expect("periods");
            let passed = whole * period + record["elapsed_seconds"].as_i64().expect("seconds");
            let up_to = |seconds: i64| round(price * i128::from(seconds), i128::from(period) * 10_000);
            let charge = up_to(passed + seconds) - up_to(passed);
            if record["kind"] == "credit" { -charge } else { charge }
        }
    };
    assert_eq!(net, expected, "{record}");
}

/// Computes a bill again from nothing but the response of the API.
#[track_caller]
pub fn assert_followed_by_hand(bill: &Value) {
    let items = |name: &str| bill[name].as_array().unwrap_or_else(|| panic!("no {name} in {bill}")).clone();
    items("records").iter().for_each(assert_record_followed_by_hand);
    for line in items("lines") {
        assert!(line["text"].as_str().is_some_and(|text| !text.is_empty()), "{line}");
        // Sums are rounded, so a line may be a cent off.
        let product = millionths(&line["quantity"]) * millionths(&line["unit_price"]);
        assert!((round(product, 10_000_000_000) - cents(&line["net"])).abs() <= 1, "{line}");
    }
    let (mut net, mut tax) = (0, 0);
    for group in items("vat") {
        let of_group = |record: &Value| {
            record["vat_category"] == group["category"]
                && record["vat_rate"] == group["rate"]
                && record.get("vat_territory") == group.get("territory")
        };
        let base: i128 =
            items("records").iter().filter(|record| of_group(record)).map(|record| cents(&record["net"])).sum();
        let rate = group["rate"].as_str().expect("a rate").strip_prefix("0.").expect("a fraction");
        let rate: i128 = format!("{rate:0<6}").parse().expect("a rate");
        assert_eq!(cents(&group["taxable_amount"]), base, "{bill}");
        assert_eq!(cents(&group["tax_amount"]), round(base * rate, 1_000_000), "{bill}");
        assert!(group["reason"].as_str().is_some_and(|text| !text.is_empty()), "{group}");
        net += base;
        tax += cents(&group["tax_amount"]);
    }
    for parts in ["records", "lines"] {
        assert_eq!(net, items(parts).iter().map(|part| cents(&part["net"])).sum::<i128>(), "{bill}");
    }
    assert_eq!((cents(&bill["net"]), cents(&bill["tax"]), cents(&bill["gross"])), (net, tax, net + tax), "{bill}");
    assert_eq!(cents(&bill["amount_due"]), net + tax + cents(&bill["rounding"]), "{bill}");
    assert_eq!(bill["document"] == "credit_note", net + tax < 0, "{bill}");
}

/// A database with open books and Alice's address.
pub async fn books() -> PgPool {
    let pool = database().await;
    open_books(&pool).await;
    address(&pool, ALICE, "CH", false).await;
    pool
}

/// Lives of all kinds for these customers.
pub async fn busy_life(pool: &PgPool, customers: &[i64]) -> Vec<Order> {
    let mut placed = Vec::new();
    for (n, &user) in customers.iter().enumerate() {
        let mut monthly = terms(user, "12.34");
        monthly.period = Some(RecurringPeriod::new(Unit::Month, 1).expect("a period"));
        monthly.billing_mode = if n % 2 == 0 { BillingMode::Advance } else { BillingMode::Arrears };
        monthly.one_time = "9.99".parse().expect("an amount");
        placed.push(place(pool, &monthly, "2023-10-31T17:00:00Z").await);
        let vm = place(pool, &terms(user, "10.00"), "2023-11-05").await;
        if n % 3 == 0 {
            let mut euros = terms(user, "3.33");
            euros.currency = "EUR".parse().expect("a currency");
            place(pool, &euros, "2023-11-06").await;
        }
        placed.push(vm);
    }
    placed
}
