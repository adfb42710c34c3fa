//! A short run of `./dev soak runner`.

#[test]
fn runner_soak_with_forty_faults_loses_no_job() {
    let outcome = uncloud_testkit::soak::runner::run(40, 3);
    assert_eq!(outcome.faults(), 40, "{outcome}");
    eprintln!("{outcome}");
}
