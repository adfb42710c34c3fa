//! A short run of `./dev soak vpn`.

use uncloud_testkit::{soak, world};

#[test]
fn twenty_faults_leave_hosts_and_database_equal() {
    world::run(1, |world| {
        let outcome = soak::vpn::run(world, 20, 7);
        assert_eq!(outcome.faults(), 20, "{outcome}");
    });
}
