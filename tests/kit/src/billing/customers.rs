//! A provider's customers and their orders, all of it from a seed: VAT of many countries, orders of all kinds, one
//! month billed.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uncloud::{
    billing::run,
    money::{
        Order,
        charge::{BillingMode, UpgradeCredit},
        period::{RecurringPeriod, Unit},
        unit_price::UnitPrice,
    },
    orders::{self, NewOrder},
    services::ServiceChange,
};

use crate::random::Random;

/// Bill runs that come after those of the template: the first splits records where rates change, the last catches up
/// half a year.
pub const RUNS: [&str; 3] = ["2024-01-02T00:00:00Z", "2024-02-01T01:00:00Z", "2024-09-10T00:00:00Z"];

/// The months before the first of [`RUNS`]: orders are placed, billed, and changed after that.
const OPENED: &str = "2023-10-01T00:00:00Z";
const BILLED: &str = "2023-12-05T00:00:00Z";
const CHANGED: &str = "2023-12-10T00:00:00Z";

/// Parses a time.
pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("RFC 3339")
}

/// Fills an empty database with so many customers, each with one to four orders.
pub(super) async fn fill(pool: &PgPool, random: &mut Random, customers: usize) {
    uncloud::cli::defaults::add_defaults(pool).await.expect("schema, seller and VAT rates");
    let users = insert_users(pool, customers).await;
    let mut tx = uncloud::request_context::begin(pool).await.expect("a transaction");
    let mut placed = Vec::new();
    for &user in &users {
        for _ in 0..=random.below(4) {
            let starts_at = at(OPENED) + days(random, 0, 64);
            placed.push(place(&mut tx, &random_order(user, random), starts_at).await);
        }
    }
    tx.commit().await.expect("placed");
    run::complete(pool, at(BILLED), 1, |_| {}).await.expect("a run");
    let mut tx = uncloud::request_context::begin(pool).await.expect("a transaction");
    for order in &placed {
        change(&mut tx, order, random).await;
    }
    for &user in users.iter().step_by(5) {
        let starts_at = at(CHANGED) + days(random, 0, 60);
        place(&mut tx, &random_order(user, random), starts_at).await;
    }
    tx.commit().await.expect("changed");
    insert_lines(pool).await;
}

/// Inserts customers: one in forty has no address, one in forty comes from a country without a known VAT rate.
async fn insert_users(pool: &PgPool, customers: usize) -> Vec<i64> {
    execute(
        pool,
        "insert into seller (name, street, postal_code, city, country, vat_number, time_zone, oss_eu, cash_rounding_cents)
         values ('Provider AG', 'Bahnhofstrasse 1', '8783', 'Linthal', 'CH', 'CHE123456788MWST', 'Europe/Zurich', true, 5)",
    )
    .await;
    execute(pool, "delete from vat_rate where territory = 'SK'").await;
    execute(
        pool,
        &format!("insert into users (username) select 'customer-' || n from generate_series(1, {customers}) n"),
    )
    .await;
    execute(
        pool,
        "insert into billing_address (user_id, name, company, street, postal_code, city, country, vat_number,
             vat_verified_at, vat_evidence)
         select user_id, username, case when business then username end, 'Street 1', '8000', 'City', country,
             case when business then 'DE136695976' end, case when business then now() end,
             case when business then 'looked up' end
         from (select user_id, username, user_id % 10 = 9 as business,
                      case when user_id % 40 = 3 then 'SK' else
                      (array['CH', 'CH', 'CH', 'LI', 'EE', 'LU', 'FI', 'DE', 'US', 'DE'])[user_id % 10 + 1] end as country
               from users where user_id % 40 <> 1) as customer",
    )
    .await;
    // One in six has moved from Switzerland to Germany while its orders ran.
    execute(pool, "alter table billing_address disable trigger billing_address_final").await;
    execute(
        pool,
        "with old as (
             update billing_address set created_at = '2023-01-01Z', replaced_at = '2023-12-15 12:34:56Z', country = 'CH'
             where user_id % 6 = 0 returning *)
         insert into billing_address (user_id, name, street, postal_code, city, country, created_at)
         select user_id, name, street, '10115', 'Berlin', 'DE', replaced_at from old",
    )
    .await;
    execute(pool, "alter table billing_address enable trigger billing_address_final").await;
    let users = sqlx::query_scalar("select user_id from users order by 1").fetch_all(pool).await;
    users.expect("users")
}

/// Inserts manual bill lines that the first of [`RUNS`] bills.
async fn insert_lines(pool: &PgPool) {
    execute(
        pool,
        "insert into bill_item (user_id, currency, description, net_cents, service_at, reason, created_by)
         select user_id, 'CHF', 'By hand', case when user_id % 2 = 0 then 500 else -333 end,
             timestamptz '2023-12-20' + interval '3 days' * (user_id % 20), 'agreed', (select min(user_id) from users)
         from users where user_id % 7 = 0",
    )
    .await;
}

async fn execute(pool: &PgPool, sql: &str) {
    let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(pool).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Returns a random time span of at least `from` and less than `to` days.
fn days(random: &mut Random, from: usize, to: usize) -> TimeDelta {
    TimeDelta::seconds(i64::try_from(86_400 * from + random.below(86_400 * (to - from))).expect("small"))
}

/// Returns a price of up to so many cents; a quarter of the prices are a hundredth of that.
fn any_price(random: &mut Random, most: usize) -> UnitPrice {
    let cents = 1 + random.below(most);
    let micros = if random.below(4) == 0 { 100 * cents } else { 10_000 * cents };
    i64::try_from(micros).expect("small").try_into().expect("a price")
}

/// Makes up an order with terms of all kinds.
fn random_order(user_id: i64, random: &mut Random) -> NewOrder {
    let (unit, count, most) = match random.below(10) {
        0..=3 => (Unit::Day, 30, 5000),
        4..=6 => (Unit::Month, 1, 5000),
        7 => (Unit::Year, 1, 50_000),
        8 => (Unit::Day, 1, 100),
        _ => (Unit::Hour, 1, 9),
    };
    let once = random.below(8) == 0;
    let period = (!once).then(|| RecurringPeriod::new(unit, count).expect("a period"));
    NewOrder {
        user_id,
        ordered_by: None,
        product_id: None,
        description: "a server".into(),
        descriptions: BTreeMap::new(),
        parameters: json!({}),
        currency: if random.below(6) == 0 { "EUR" } else { "CHF" }.parse().expect("a currency"),
        one_time: if once || random.below(5) == 0 { any_price(random, 9999) } else { UnitPrice::ZERO },
        recurring: if once { UnitPrice::ZERO } else { any_price(random, most) },
        period,
        billing_mode: if random.below(4) == 0 { BillingMode::Arrears } else { BillingMode::Advance },
        commitment_periods: u32::from(!once && random.below(2) == 0),
        upgrade_credit: if random.below(4) == 0 { UpgradeCredit::None } else { UpgradeCredit::Prorate },
        zone: "Europe/Zurich".parse().expect("a zone"),
        parts: Vec::new(),
    }
}

async fn place(tx: &mut PgConnection, new: &NewOrder, starts_at: DateTime<Utc>) -> Order {
    orders::place(tx, starts_at, starts_at, new).await.expect("placed")
}

/// Cancels or replaces a third of the orders, some of them twice, and some before they start.
async fn change(tx: &mut PgConnection, order: &Order, random: &mut Random) {
    let now = at(CHANGED) + days(random, 0, 10);
    let mut next = random_order(order.user_id, random);
    next.currency = order.currency;
    if order.period.is_none() || next.period.is_none() {
        return;
    }
    let (user, later) = (order.user_id, now + days(random, 0, 10));
    match random.below(9) {
        0 => drop(orders::cancel(tx, now, order.order_id, user, ServiceChange::AtEnd).await.expect("cancelled")),
        1 => drop(orders::replace(tx, now, order.order_id, &next, ServiceChange::AtEnd).await.expect("replaced")),
        2 => {
            let replaced = orders::replace(tx, now, order.order_id, &next, ServiceChange::AtEnd).await;
            let new = replaced.expect("replaced").new;
            let changed = if new.starts_at > later { order } else { &new };
            orders::cancel(tx, later, changed.order_id, user, ServiceChange::AtEnd).await.expect("cancelled");
        }
        _ => {}
    }
}
