//! A short run of `./dev soak vpn`.

use uncloud_testkit::{soak, world};

#[test]
fn vpn_soak_with_twenty_faults_leaves_hosts_equal_to_database() {
    world::run(1, |world| {
        let outcome = soak::vpn::run(world, 20, 7);
        assert_eq!(outcome.faults(), 20, "{outcome}");
    });
}
