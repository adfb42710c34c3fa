//! Tests with the output of iproute2 6.1 for wireguard-go on Linux 6.18.

use super::*;

const ADDR: &str = r#"[{},{"ifindex":2,"ifname":"wg-1","flags":["POINTOPOINT","MULTICAST","NOARP","UP","LOWER_UP"],"mtu":1420,"qdisc":"pfifo_fast","operstate":"UNKNOWN","group":"default","txqlen":500,"link_type":"none","addr_info":[{"family":"inet","local":"10.1.0.1","prefixlen":16,"scope":"global","label":"wg-1","valid_life_time":4294967295,"preferred_life_time":4294967295},{"family":"inet6","local":"2a0a:e5c1:200::1","prefixlen":48,"scope":"global","nodad":true,"valid_life_time":4294967295,"preferred_life_time":4294967295},{"family":"inet6","local":"fe80::c1a:8acf:ab1d:d859","prefixlen":64,"scope":"link","stable-privacy":true,"valid_life_time":4294967295,"preferred_life_time":4294967295}]}]"#;

const ROUTES: &str = r#"[{"dst":"default","scope":"link","flags":[]},{"dst":"10.1.0.0/24","protocol":"kernel","scope":"link","prefsrc":"10.1.0.1","flags":[]},{"dst":"10.0.0.9","scope":"link","flags":[]},{"type":"local","dst":"10.1.0.1","table":"local","protocol":"kernel","scope":"host","prefsrc":"10.1.0.1","flags":[]},{"type":"broadcast","dst":"10.1.0.255","table":"local","protocol":"kernel","scope":"link","prefsrc":"10.1.0.1","flags":[]},{"dst":"2000::2","table":"77","metric":1024,"flags":[],"pref":"medium"},{"dst":"2000::1","metric":1024,"flags":[],"pref":"medium"},{"dst":"2001::/64","protocol":"kernel","metric":256,"flags":[],"pref":"medium"},{"dst":"fe80::/64","protocol":"kernel","metric":256,"flags":[],"pref":"medium"},{"dst":"default","metric":1024,"flags":[],"pref":"medium"},{"type":"local","dst":"2001::1","table":"local","protocol":"kernel","metric":0,"flags":[],"pref":"medium"},{"type":"multicast","dst":"ff00::/8","table":"local","protocol":"kernel","metric":256,"flags":[],"pref":"medium"}]"#;

const UNREACHABLE: &str = r#"[{"type":"unreachable","dst":"10.9.0.0/16","flags":[]},{"type":"unreachable","dst":"10.0.0.0/8","metric":4278198272,"flags":[]},{"type":"unreachable","dst":"2003::/16","dev":"lo","metric":4278198272,"flags":[],"pref":"medium"},{"type":"unreachable","dst":"2004::/16","table":"9","dev":"lo","metric":4278198272,"flags":[],"pref":"medium"}]"#;

fn texts<'a>(prefixes: impl IntoIterator<Item = &'a IpNet>) -> Vec<String> {
    prefixes.into_iter().map(IpNet::to_string).collect()
}

#[test]
fn parse_link_skips_link_local_addresses() {
    let (up, mtu, addresses) = parse_link(ADDR, "wg-1").expect("readable").expect("there");
    assert!(up);
    assert_eq!(mtu, 1420);
    assert_eq!(texts(&addresses), ["10.1.0.1/16", "2a0a:e5c1:200::1/48"]);
    assert_eq!(parse_link(ADDR, "wg-2").expect("readable"), None);
    let down = ADDR.replace(r#""UP","#, "");
    assert!(!parse_link(&down, "wg-1").expect("readable").expect("there").0);
}

#[test]
fn parse_routes_skips_kernel_routes_and_other_tables() {
    assert_eq!(texts(&parse_routes(ROUTES).expect("readable")), ["0.0.0.0/0", "10.0.0.9/32", "::/0", "2000::1/128"]);
}

#[test]
fn parse_unreachable_skips_other_metrics() {
    assert_eq!(texts(&parse_unreachable(UNREACHABLE).expect("readable")), ["10.0.0.0/8", "2003::/16"]);
}

#[test]
fn parsed_invalid_output_names_the_command() {
    let error = parsed(SHOW_ROUTES, "wg-1", parse_routes("{}")).expect_err("not a list").to_string();
    assert!(error.contains("`ip -j route show table all dev wg-1`"), "{error}");
    let error = parsed("show IF listen-port", "wg-1", parse_port("off\n")).expect_err("not a number").to_string();
    assert!(error.contains("`wg show wg-1 listen-port`"), "{error}");
}
