//! A second VPN host beside the first, as an operator adds one: a machine of its own, let in with a Redis user of its own.

use serde_json::json;
use uncloud_testkit::{
    command::{clear_env, succeed},
    fixtures::new_key,
    process::Process,
    programs,
    provider::{Provider, host_options},
    world::{self, VPN_HOST, client},
};

const SECOND: &str = "vpn-2.example.ch";

#[test]
fn hosts_with_separate_pools_serve_only_their_own_networks() {
    world::run(1, |world| {
        let provider = Provider::start(&["nico"]);
        let (admin, nico) = (provider.api("admin"), provider.api("nico"));
        let states = [(); 2].map(|()| tempfile::tempdir().expect("state folder"));
        let _first = provider.worker(world, states[0].path());
        let mut command = provider.uncloud();
        command.env("REDIS_URL", provider.redis_url()).args(["worker-host", "add", SECOND]);
        let broker_url = succeed(&mut command, "");
        assert!(broker_url.contains("host-vpn-2.example.ch"), "a user of its own");
        let mut command = world.command(&client(1), programs::uncloud_worker());
        command.args(["--queue", SECOND]).args(host_options(states[1].path()));
        let _second = Process::start("second worker", clear_env(&mut command).env("REDIS_URL", broker_url.trim()));

        admin.job_succeeds(&admin.create_pool());
        // Of another size, by which a request chooses.
        let body = json!({ "network": "2a0a:e5c1:300::/40", "subnetwork_size": 56, "vpn_hostname": SECOND });
        admin.job_succeeds(&admin.post("/v1/admin/vpnpool", &body).expect(201));
        let key = new_key().to_string();
        let body = json!({ "network_size": 56, "wireguard_public_key": key });
        let network = nico.becomes_active(&nico.post("/v1/net/vpn", &body).expect(201));
        assert_eq!(network["endpoint"], format!("{SECOND}:51820"));

        // wireguard-go's sockets are files, which these machines share; links and ports are their own.
        let peers = |namespace: &str, interface: &str| {
            world.sh_in(namespace, &format!("ip -br link show dev {interface} && wg show {interface} allowed-ips"))
        };
        let peer = format!("{key}\t{}", network["network"].as_str().expect("a prefix"));
        assert!(peers(&client(1), "wg-2").contains(&peer), "{network}");
        assert!(!peers(VPN_HOST, "wg-1").contains(&key), "the first host has its own pool only");
        let links = |namespace: &str| world.sh_in(namespace, "ip -br link");
        assert!(!links(VPN_HOST).contains("wg-2") && !links(&client(1)).contains("wg-1"));
    });
}
