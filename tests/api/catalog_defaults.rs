//! The products and prices that an installation begins with.

use reqwest::Method;
use serde_json::json;

use crate::{
    app::{TestApp, database},
    catalog::product,
};

#[tokio::test]
async fn add_defaults_after_staff_changes_only_adds_missing_records() {
    let app = TestApp::start().await;
    let (vm, ssd) = (product(&app, "ipv6-vm").await, product(&app, "ssd").await);
    let cheap =
        json!({ "title": "VM", "prices": [{ "recurring_period": "P30D", "currency": "CHF", "recurring": "0.01" }] });
    app.put(&format!("/v1/admin/product/{}", vm["id"]), "admin", cheap).await.expect(200);
    let off_sale = json!({ "title": "SSD", "sale_from": "2020-01-01T00:00:00Z", "sale_until": "2021-01-01T00:00:00Z" });
    app.put(&format!("/v1/admin/product/{}", ssd["id"]), "admin", off_sale).await.expect(200);
    let seller = json!({
        "name": "ungleich glarus ag", "street": "Bahnhofstrasse 1", "postal_code": "8783", "city": "Linthal",
        "country": "CH", "vat_number": "CHE-116.281.710 MWST", "time_zone": "Europe/Zurich",
    });
    app.put("/v1/admin/seller", "admin", seller).await.expect(200);
    sqlx::query("update vat_rate set rate_ppm = 1 where territory = 'FR'").execute(&app.pool).await.expect("a rate");
    sqlx::query("delete from vat_rate where territory = 'FI'").execute(&app.pool).await.expect("rates");
    let all = async || {
        let mut all = vec![app.request(Method::GET, "/v1/product", None, None).await.expect(200)];
        for path in ["product", "recurring_period", "seller", "vat_rate?territory=FR"] {
            all.push(app.get(&format!("/v1/admin/{path}"), "admin").await.expect(200));
        }
        all
    };
    let before = all().await;
    assert!(before[0]["items"].as_array().expect("a list").iter().all(|product| product["name"] != "ssd"), "off sale");
    for _ in 0..2 {
        uncloud::cli::defaults::add_defaults(&app.pool).await.expect("defaults");
        assert_eq!(all().await, before);
    }
    let finland = app.get("/v1/admin/vat_rate?territory=FI", "admin").await.expect(200);
    assert!(finland["items"].as_array().is_some_and(|rates| !rates.is_empty()), "what is missing is added");
}

#[tokio::test]
async fn price_of_default_products_returns_expected_amounts() {
    let pool = database().await;
    let choice = |period: &str, currency: &str, parameters: &[(&str, i64)]| uncloud::catalog::Choice {
        recurring_period: (!period.is_empty()).then(|| period.parse().expect("a period")),
        currency: currency.parse().expect("a currency"),
        parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
    };
    let now = uncloud::clock::now(&pool).await.expect("a time");
    let vm = [("cores", 1), ("memory_gb", 2), ("ssd_gb", 10)];
    for currency in ["CHF", "EUR"] {
        for (name, period, parameters, one_time, recurring) in [
            ("vpn-network", "P30D", [].as_slice(), "0.00", "0.00"),
            ("ipv6-vm", "P30D", &vm[..2], "0.00", "17.00"),
            ("ipv6-vm", "P1D", &vm[..2], "0.00", "0.85"),
            ("ipv4-address", "P30D", &[], "0.00", "8.00"),
            ("ssd", "P30D", &vm[2..], "0.00", "3.50"),
            ("dual-stack-vm", "P30D", &vm, "0.00", "28.50"),
            ("dual-stack-vm", "P1D", &vm, "0.00", "1.45"),
            ("setup", "", &[], "50.00", "0.00"),
        ] {
            let product = uncloud::catalog::load_named(&pool, name).await.expect("a response").expect("a product");
            let priced = uncloud::catalog::price(&product, &choice(period, currency, parameters), now);
            let priced = priced.unwrap_or_else(|errors| panic!("{name} {period}: {errors:?}"));
            assert_eq!(
                (priced.one_time.to_string(), priced.recurring.to_string()),
                (one_time.into(), recurring.into()),
                "{name} {period}"
            );
            assert_eq!(uncloud::catalog::load(&pool, product.product_id).await.expect("a response"), Some(product));
        }
    }
    let address = uncloud::catalog::load_named(&pool, "ipv4-address").await.expect("a response").expect("a product");
    assert_eq!(address.requirements().next().map(|required| required.name.as_str()), Some("ipv6-vm"));
    let bundle = uncloud::catalog::load_named(&pool, "dual-stack-vm").await.expect("a response").expect("a product");
    assert_eq!(bundle.requirements().count(), 0, "it brings its VM along");
    assert_eq!(uncloud::catalog::load_named(&pool, "none").await.expect("a response"), None);
    assert_eq!(uncloud::catalog::load(&pool, 999).await.expect("a response"), None);
}
