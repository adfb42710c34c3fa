//! A short run of `./dev soak billing`.

#[test]
fn billing_soak_with_ten_kills_changes_no_bill() {
    let outcome = uncloud_testkit::soak::billing::run(10, 1);
    assert!(outcome.hits() >= 10 && outcome.worker_hits() >= 1, "{outcome}");
    eprintln!("{outcome}");
}
