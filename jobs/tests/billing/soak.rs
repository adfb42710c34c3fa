//! A short run of `./dev soak billing`.

#[test]
fn ten_kills_change_no_bill() {
    let outcome = uncloud_testkit::soak::billing::run(10, 1);
    assert!(outcome.hits() >= 10 && outcome.worker_hits() >= 1, "{outcome}");
    eprintln!("{outcome}");
}
