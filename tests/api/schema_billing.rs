//! Addresses, sellers, rates and products that the database refuses: each by raw SQL, each by the constraint that is
//! named for it.

use crate::{
    app::database,
    schema::{assert_refused, execute},
};

const SELLER: &str =
    "insert into seller (name, street, postal_code, city, country, time_zone, oss_eu, cash_rounding_cents) values";
const ADDRESS: &str =
    "insert into billing_address (user_id, name, company, street, postal_code, city, country, vat_number,
    vat_verified_at, vat_evidence) values";
const RATE: &str = "insert into vat_rate (territory, starts_on, ends_on, rate_ppm, source) values";

#[tokio::test]
async fn seller_or_address_row_with_invalid_values_is_refused() {
    let pool = database().await;
    let address = |values: &str| format!("{ADDRESS} (1, {values})");
    let right = address("'A', 'A AG', 's', '1', 'c', 'CH', 'CHE116281710MWST', now(), 'e'");
    execute(&pool, &right).await.expect("an address");
    for (constraint, sql) in [
        ("seller_country_form", format!("{SELLER} ('n', 's', '1', 'c', 'ch', 'Europe/Zurich', false, null)")),
        ("seller_name_form", format!("{SELLER} ('', 's', '1', 'c', 'CH', 'Europe/Zurich', false, null)")),
        ("seller_cash_rounding", format!("{SELLER} ('n', 's', '1', 'c', 'CH', 'Europe/Zurich', false, 10)")),
        ("seller_final", "update seller set name = 'x'".to_owned()),
        ("seller_final", "delete from seller".to_owned()),
        ("billing_address_current", right.clone()),
        ("billing_address_country_form", address("'A', null, 's', '1', 'c', 'Ch', null, null, null")),
        ("billing_address_name_form", address("'', null, 's', '1', 'c', 'CH', null, null, null")),
        ("billing_address_vat_number_form", address("'A', 'B', 's', '1', 'c', 'CH', 'CHE-1', null, null")),
        ("billing_address_vat_number_business", address("'A', null, 's', '1', 'c', 'DE', 'DE136695976', null, null")),
        ("billing_address_vat_verified", address("'A', 'B', 's', '1', 'c', 'DE', 'DE136695976', now(), null")),
        ("billing_address_vat_verified", address("'A', 'B', 's', '1', 'c', 'DE', null, now(), 'e'")),
        ("billing_address_final", "update billing_address set vat_evidence = 'other'".to_owned()),
        ("billing_address_final", "update billing_address set city = 'x'".to_owned()),
        ("billing_address_final", "delete from billing_address".to_owned()),
    ] {
        assert_refused(execute(&pool, &sql).await, constraint, &sql);
    }
    execute(&pool, "update billing_address set replaced_at = now()").await.expect("replaced");
    execute(&pool, &right).await.expect("the next one");
}

#[tokio::test]
async fn vat_rate_row_with_invalid_values_is_refused() {
    let pool = database().await;
    execute(&pool, "delete from vat_rate").await.expect("none");
    let rate = |values: &str| format!("{RATE} ({values}, 's')");
    execute(&pool, &rate("'CH', '2018-01-01', '2024-01-01', 77000")).await.expect("a rate");
    execute(&pool, &rate("'CH', '2024-01-01', null, 81000")).await.expect("the next");
    for (constraint, values) in [
        ("vat_rate_territory_form", "'ch', '2018-01-01', null, 1"),
        ("vat_rate_territory_form", "'PT-0', '2018-01-01', null, 1"),
        ("vat_rate_territory_form", "'PT-12345', '2018-01-01', null, 1"),
        ("vat_rate_dates", "'LI', '2018-01-01', '2018-01-01', 1"),
        ("vat_rate_ppm", "'LI', '2018-01-01', null, 1000001"),
        ("vat_rate_ppm", "'LI', '2018-01-01', null, -1"),
        ("vat_rate_pkey", "'CH', '2018-01-01', '2018-01-02', 1"),
        ("vat_rate_overlap", "'CH', '2017-01-01', '2018-01-02', 1"),
        ("vat_rate_overlap", "'CH', '2017-01-01', null, 1"),
        ("vat_rate_overlap", "'CH', '2023-12-31', '2024-01-02', 1"),
        ("vat_rate_overlap", "'CH', '2099-01-01', null, 1"),
    ] {
        assert_refused(execute(&pool, &rate(values)).await, constraint, values);
    }
    // The neighbours by the number that the constraint makes of a territory.
    for values in [
        "'CG', '0001-01-01', null, 1",
        "'CI', '0001-01-01', null, 1",
        "'CG-9999', '0001-01-01', null, 1",
        "'CH-1', '0001-01-01', null, 1",
        "'CH', '2017-01-01', '2018-01-01', 1",
    ] {
        execute(&pool, &rate(values)).await.expect(values);
    }
}

#[tokio::test]
async fn product_row_with_invalid_values_is_refused() {
    let pool = database().await;
    let id = "(select product_id from product where name = 'ssd')";
    let product = |name: &str, title: &str, delivery: &str, billing: &str, until: &str| {
        format!(
            "insert into product (name, title, description, delivery, billing_mode, sale_until) values ('{name}', '{title}', '', '{delivery}', '{billing}', {until})"
        )
    };
    let parameter = |name: &str, minimum: i32, maximum: i32, step: i32| {
        format!(
            "insert into product_parameter (product_id, name, unit, minimum, maximum, step) values ({id}, '{name}', 'u', {minimum}, {maximum}, {step})"
        )
    };
    let price = |period: &str, currency: &str, one_time: i32, recurring: i32, commitment: i32| {
        format!("insert into product_price (product_id, period_id, currency, one_time_micros, recurring_micros, commitment_periods)
            values ({id}, {period}, '{currency}', {one_time}, {recurring}, {commitment})")
    };
    for (constraint, sql) in [
        ("recurring_period_unit", "insert into recurring_period (unit, count) values ('week', 1)".to_owned()),
        ("recurring_period_count", "insert into recurring_period (unit, count) values ('day', 0)".to_owned()),
        ("recurring_period_key", "insert into recurring_period (unit, count) values ('day', 30)".to_owned()),
        ("product_name_key", product("ssd", "t", "manual", "advance", "null")),
        ("product_name_form", product("S", "t", "manual", "advance", "null")),
        ("product_title_form", product("x", "", "manual", "advance", "null")),
        ("product_delivery", product("x", "t", "by_post", "advance", "null")),
        ("product_billing_mode", product("x", "t", "manual", "never", "null")),
        ("product_sale", product("x", "t", "manual", "advance", "'2020-01-01'")),
        ("product_final", "delete from product".to_owned()),
        ("product_final", "update product set name = 'x' where name = 'ssd'".to_owned()),
        ("product_parameter_name_form", parameter("GB", 1, 2, 1)),
        ("product_parameter_pkey", parameter("ssd_gb", 1, 2, 1)),
        ("product_parameter_bounds", parameter("p", 2, 1, 1)),
        ("product_parameter_bounds", parameter("p", -1, 1, 1)),
        ("product_parameter_bounds", parameter("p", 0, 1_000_001, 1)),
        ("product_parameter_bounds", parameter("p", 1, 1, 0)),
        ("product_parameter_step", parameter("p", 1, 10, 2)),
        ("product_parameter_bundle_key", parameter("cores", 1, 10, 1)),
        ("product_price_key", price("1", "CHF", 0, 0, 0)),
        ("product_price_currency_form", price("1", "chf", 0, 0, 0)),
        ("product_price_not_negative", price("1", "USD", -1, 0, 0)),
        ("product_price_not_negative", price("1", "USD", 0, -1, 0)),
        ("product_price_once", price("null", "USD", 0, 1, 0)),
        ("product_price_once", price("null", "USD", 1, 0, 1)),
        ("product_price_commitment", price("1", "USD", 0, 0, 1001)),
        ("product_price_commitment", price("1", "USD", 0, 0, -1)),
        ("product_price_period_id_fkey", price("99", "USD", 0, 0, 0)),
    ] {
        assert_refused(execute(&pool, &sql).await, constraint, &sql);
    }
}

#[tokio::test]
async fn product_part_row_with_invalid_values_is_refused() {
    let pool = database().await;
    let product = |name: &str| format!("(select product_id from product where name = '{name}')");
    let price = format!("(select min(price_id) from product_price where product_id = {})", product("ssd"));
    let of_parameter = |owner: &str, parameter: &str, cents: i32| {
        format!(
            "insert into product_parameter_price (price_id, product_id, parameter, recurring_micros) values ({price}, {}, '{parameter}', {cents})",
            product(owner)
        )
    };
    let requirement = |one: &str, other: &str| {
        format!(
            "insert into product_requirement (product_id, required_id) values ({}, {})",
            product(one),
            product(other)
        )
    };
    let component = |bundle: &str, component: &str, quantity: i32| {
        format!(
            "insert into product_component (bundle_id, component_id, quantity) values ({}, {}, {quantity})",
            product(bundle),
            product(component)
        )
    };
    let ambiguous = "insert into product (name, title, description, delivery) values ('two', 't', '', 'manual');
        insert into product_parameter (product_id, name, unit, minimum, maximum)
            select product_id, 'cores', 'u', 1, 2 from product where name = 'two';
        insert into product_component (bundle_id, component_id)
            select bundle.product_id, two.product_id from product bundle, product two where bundle.name = 'dual-stack-vm' and two.name = 'two'";
    for (constraint, sql) in [
        ("product_parameter_price_pkey", of_parameter("ssd", "ssd_gb", 0)),
        ("product_parameter_price_price_fkey", of_parameter("ipv6-vm", "cores", 0)),
        ("product_parameter_price_parameter_fkey", of_parameter("ssd", "cores", 0)),
        ("product_parameter_price_not_negative", "update product_parameter_price set one_time_micros = -1".to_owned()),
        ("product_requirement_other", requirement("ssd", "ssd")),
        ("product_requirement_pkey", requirement("ssd", "ipv6-vm")),
        ("product_component_bundle_fkey", component("ssd", "setup", 1)),
        ("product_component_component_fkey", component("dual-stack-vm", "dual-stack-vm", 1)),
        ("product_component_component_fkey", "update product set bundle = true where name = 'ssd'".to_owned()),
        ("product_component_bundle_fkey", "update product set bundle = false where name = 'dual-stack-vm'".to_owned()),
        ("product_component_quantity", component("dual-stack-vm", "setup", 0)),
        ("product_component_quantity", component("dual-stack-vm", "setup", 101)),
        ("product_component_pkey", component("dual-stack-vm", "ssd", 1)),
    ] {
        assert_refused(execute(&pool, &sql).await, constraint, &sql);
    }
    let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(ambiguous.to_owned())).execute(&pool).await.map(drop);
    assert_refused(refused, "product_parameter_bundle_key", ambiguous);
}
