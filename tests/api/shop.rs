//! Products for tests of orders.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::app::TestApp;

/// The catalogue of these tests, by SQL: they are not about how it is kept.
///
/// | product      | parameters            | for 30 days            | a day                 |
/// |--------------|-----------------------|------------------------|-----------------------|
/// | vm           | cores 1-16, ram 2-64/2 | 3 + 2/core + 1/GB      | 0.20 + 0.10 + 0.05    |
/// | ipv4         | needs a vm            | 1                      |                       |
/// | disk         | size 10-1000/10       | 0.10/GB, 5 once        |                       |
/// | dualstack-vm | vm + ipv4 + disk       | 0 besides              |                       |
/// | installation |                       | 50 once                |                       |
/// | dns          |                       | 0                      |                       |
const CATALOGUE: &str = "
    insert into recurring_period (unit, count) values ('day', 30), ('day', 1) on conflict do nothing;
    insert into product (name, title, description, delivery, bundle) values
        ('vm', 'VM', '', 'manual', false), ('ipv4', 'IPv4 address', '', 'manual', false),
        ('disk', 'SSD', '', 'manual', false), ('dualstack-vm', 'Dual-stack VM', '', 'manual', true),
        ('installation', 'Set-up', '', 'manual', false), ('dns', 'DNS zone', '', 'manual', false),
        ('old', 'Sold no more', '', 'manual', false);
    update product set sale_from = '2020-01-01', sale_until = '2021-01-01' where name = 'old';
    insert into product_parameter (product_id, name, unit, minimum, maximum, step)
        select product_id, p.name, unit, minimum, maximum, step from product join (values
            ('vm', 'cores', '', 1, 16, 1), ('vm', 'ram', 'GB', 2, 64, 2), ('disk', 'size', 'GB', 10, 1000, 10))
            p (product, name, unit, minimum, maximum, step) on product = product.name;
    insert into product_price (product_id, period_id, currency, one_time_micros, recurring_micros, commitment_periods)
        select product_id, (select period_id from recurring_period where unit = 'day' and count = days), 'CHF', once * 10000, each * 10000,
            case when days is null then 0 else 1 end
        from product join (values ('vm', 30, 0, 300), ('vm', 1, 0, 20), ('ipv4', 30, 0, 100), ('disk', 30, 500, 0),
            ('dualstack-vm', 30, 0, 0), ('installation', null, 5000, 0), ('dns', 30, 0, 0), ('old', 30, 0, 100))
            p (product, days, once, each) on product = product.name;
    insert into product_parameter_price (price_id, product_id, parameter, recurring_micros)
        select price_id, product_id, parameter, each * 10000 from product join product_price using (product_id)
        left join recurring_period using (period_id) join (values
            ('vm', 30, 'cores', 200), ('vm', 30, 'ram', 100), ('vm', 1, 'cores', 10), ('vm', 1, 'ram', 5), ('disk', 30, 'size', 10))
            p (product, days, parameter, each) on product = product.name and days = recurring_period.count;
    insert into product_component (bundle_id, component_id)
        select bundle.product_id, part.product_id from product bundle, product part
        where bundle.name = 'dualstack-vm' and part.name in ('vm', 'ipv4', 'disk');
    insert into product_requirement (product_id, required_id)
        select product.product_id, required.product_id from product, product required
        where product.name = 'ipv4' and required.name = 'vm';
    insert into seller (name, street, postal_code, city, country, vat_number, time_zone, oss_eu)
        values ('ungleich glarus ag', 'Bahnhofstrasse 1', '8783', 'Linthal', 'CH', 'CHE116281710MWST', 'Europe/Zurich', false);
    insert into billing_address (user_id, name, street, postal_code, city, country)
        select user_id, username, 'Seeweg 1', '8750', 'Glarus', 'CH' from users where username in ('alice', 'admin');";

/// A server with that catalogue; alice has a billing address, bob has none.
pub async fn shop() -> TestApp {
    let app = TestApp::start().await;
    fill(&app.pool).await;
    app
}

async fn fill(pool: &PgPool) {
    sqlx::raw_sql(CATALOGUE).execute(pool).await.expect("a catalogue");
}

/// A VM of so many cores with 2 GB: 5 CHF + 2 for each core, for 30 days.
pub fn vm(cores: u32) -> Value {
    json!({ "product": "vm", "parameters": { "cores": cores, "ram": 2 }, "recurring_period": "P30D", "currency": "CHF" })
}

/// Anything without parameters, for 30 days.
pub fn simple(product: &str) -> Value {
    json!({ "product": product, "parameters": {}, "recurring_period": "P30D", "currency": "CHF" })
}

/// An order of somebody for 30 days at so many CHF, agreed by hand, which began `ago` (as Postgres says it).
pub async fn agreed(app: &TestApp, user: &str, recurring: &str, ago: &str) -> Value {
    let starts_at = past(app, ago).await;
    let body = json!({ "username": user, "description": "A rack unit", "recurring": recurring, "recurring_period": "P30D",
        "currency": "CHF", "starts_at": starts_at });
    app.post("/v1/admin/order", "admin", body).await.expect(201)
}

/// A whole second of the past, as the database's clock has it.
pub async fn past(app: &TestApp, ago: &str) -> String {
    let sql = "select to_char((now() - $1::text::interval) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+00:00\"')";
    sqlx::query_scalar(sql).bind(ago).fetch_one(&app.pool).await.expect("a time")
}
