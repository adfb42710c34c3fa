//! Actions that the sudo rules must not allow the worker's user.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    process::{Output, Stdio},
    time::Instant,
};

use nix::fcntl::OFlag;
use uncloud_testkit::{
    wait::wait_until,
    world::{self, VPN_HOST},
};

use crate::{
    account::{Account, Rights, said},
    site::Site,
};

/// Everything that sudo must refuse; one line each, words separated by blanks.
const ABUSES: &str = "
ip netns exec vpnhost id -u
ip netns add abuse
ip vrf exec x id -u
ip -batch /dev/stdin
ip -b /dev/stdin
ip -force -batch /dev/stdin
ip -n vpnhost link del dev wg-1
ip -all netns exec id
ip link
ip -j addr show dev wg-1
ip link add type dummy
ip link add dev wg-1 type dummy
ip link add dev wg-1 type wireguard extra
ip link add dev eth9 type wireguard
ip link add dev wg0 type wireguard
ip link add dev wg- type wireguard
ip link add dev wg-0123456789abc type wireguard
ip link add dev wg-A type wireguard
ip link add dev wg-1/../x type wireguard
ip link add link h1 dev wg-1 type wireguard
ip link del dev h1
ip link del dev lo
ip link del dev eth0
ip link del dev wg-1 dev h1
ip link del wg-1
ip link set dev h1 mtu 1420 up
ip link set dev eth0 mtu 1420 up
ip link set dev wg-1 mtu 1420 up netns 1
ip link set dev wg-1 mtu 1420 down
ip link set dev wg-1 mtu 0 up
ip link set dev wg-1 xdp object /tmp/x.o
ip link set dev wg-1 alias x
ip link set dev wg-1 name eth9
ip addr add 2001:db8::1/64 dev wg-1
ip addr replace 2001:db8::1/64 dev h1 nodad
ip addr replace 2001:db8::1/64 dev wg-1
ip addr replace 2001:db8::1/64 dev wg-1 nodad dev h1
ip addr replace 2001:db8::1/0 dev wg-1 nodad
ip addr replace 2001:db8::1/1 dev wg-1 nodad
ip addr replace 10.0.0.1/0 dev wg-1
ip addr replace 10.0.0.1/1 dev wg-1
ip addr replace 10.0.0.1/24 dev eth0
ip addr replace 10.0.0.1/24 dev wg-1 label wg-1:x
ip addr del 2001:db8:1::1/64 dev h1
ip addr del ::1/128 dev lo
ip addr flush dev h1
ip addr flush dev wg-1
ip route replace default dev wg-1
ip route replace ::/0 dev wg-1
ip route replace 0.0.0.0/0 dev wg-1
ip route replace ::/1 dev wg-1
ip route replace 8000::/1 dev wg-1
ip route replace 0.0.0.0/1 dev wg-1
ip route replace 128.0.0.0/1 dev wg-1
ip route replace 2000::/3 dev wg-1
ip route replace 10.0.0.0/8 dev h1
ip route replace 10.0.0.0/8 via 10.0.0.1 dev wg-1
ip route replace 10.0.0.0/8 dev wg-1 table 1
ip route replace 10.0.0.0/8 dev wg-1 metric 1
ip route replace 10.0.0.0/8 metric 4278198272
ip route replace unreachable 10.0.0.0/8
ip route replace unreachable 10.0.0.0/8 dev wg-1
ip route replace unreachable 10.0.0.0/8 metric 1
ip route replace unreachable 0.0.0.0/0 metric 4278198272
ip route replace unreachable default metric 4278198272
ip route replace blackhole 10.0.0.0/8 metric 4278198272
ip route replace 2a0a:e5c1:200::/40 dev eth0
ip route replace 2a0a:e5c1:200::/40 dev wg-1;id
ip route replace $(id)/40 dev wg-1
ip route add 2a0a:e5c1:200::/40 dev wg-1
ip route del default
ip route del 2001:db8:1::/64 dev h1
ip route flush table main
ip rule add from all lookup 1
ip xfrm state flush
ip tuntap add dev wg-9 mode tun user 64999
ip neigh flush all
ip monitor file /etc/shadow
ip route restore
wg
wg show
wg show all
wg show interfaces
wg show wg-1
wg show wg-1 dump
wg show wg-1 private-key
wg show wg-1 preshared-keys
wg show wg-1 endpoints
wg show h1 public-key
wg show all public-key
wg show wg-1 public-key private-key
wg showconf wg-1
wg syncconf wg-1 /dev/stdin
wg syncconf wg-1 /etc/shadow
wg syncconf wg-1 /proc/self/fd/0
wg setconf wg-1 /etc/shadow
wg addconf wg-1 /etc/shadow
wg set wg-1 private-key /etc/shadow
wg set wg-1 private-key /dev/stdin
wg set wg-1 listen-port 1
wg-quick up wg-1
wg-quick strip /etc/shadow
wg-quick up /etc/wireguard/wg-1.conf
wireguard-go eth0
wireguard-go h1
wireguard-go -f wg-1
wireguard-go --foreground wg-1
wireguard-go wg-1 wg-2
wireguard-go /etc/shadow
wireguard-go
/usr/lib/uncloud/wg-syncconf
/usr/lib/uncloud/wg-syncconf eth0
/usr/lib/uncloud/wg-syncconf wg-1 /etc/shadow
/usr/lib/uncloud/wg-syncconf -h
/usr/lib/uncloud/../uncloud/wg-syncconf eth0
/bin/sh -c id
sh /usr/lib/uncloud/wg-syncconf wg-1
cat /etc/shadow
tee /etc/sudoers.d/x
id
su
systemctl restart ssh
-u postgres ip link del dev wg-1
-u postgres id
-g root wg show wg-1 public-key
-g root id
-s
-i
-e /etc/sudoers.d/uncloud
-e /etc/wireguard/wg-1.json
-R / wg show wg-1 public-key
-D / wg show wg-1 public-key
-E wg show wg-1 public-key
-C 99 wg show wg-1 public-key
LD_PRELOAD=/tmp/x.so wg show wg-1 public-key
PATH=/tmp wg show wg-1 public-key
WG_HIDE_KEYS=never wg show wg-1 public-key
WG_PROCESS_FOREGROUND=1 wireguard-go wg-7
LOG_LEVEL=debug wireguard-go wg-7
";

#[test]
fn sudo_with_command_beyond_the_rules_fails_without_effect() {
    world::run(1, |world| {
        let site = Site::new(world);
        let worker = Account::new(&site, Rights::Sudo);
        worker.apply(&site, &site.desired(1, &[]), &[]);
        let before = site.snapshot();
        for line in ABUSES.lines().filter(|line| !line.is_empty()) {
            refused(&worker, &line.split(' ').collect::<Vec<_>>());
        }
        // What no line can show: blanks, newlines and nothing inside of an argument.
        for args in [
            &["wg", "show", "wg-1\n", "public-key"][..],
            &["wg", "show", "wg-1", "public-key\n"],
            &["wg", "show", "wg-1", "public-key", ""],
            &["wg", "show", "", "wg-1", "public-key"],
            &["wg", " show", "wg-1", "public-key"],
            &["wg", "show", "wg-1\tpublic-key"],
            &["wg", "show", "wg-1 public-key\nwg-1 private-key"],
            &["wg", "show", "wg-1\npublic-key"],
            &["ip", "link", "del", "dev", "wg-1\ndev h1"],
            &["ip", "link", "del dev wg-1 dev h1"],
            &["ip", "link", "add", "dev", "wg-1 type dummy", "type", "wireguard"],
            &["ip", "route", "replace", "2a0a:e5c1:200::/40 dev wg-1", "via", "::1"],
            &["/usr/lib/uncloud/wg-syncconf", "wg-1\n"],
            &["/usr/lib/uncloud/wg-syncconf", "wg-1;id"],
            &["/usr/lib/uncloud/wg-syncconf", "wg-1", ""],
        ] {
            refused(&worker, args);
        }
        // Words glued together look the same to sudo; the programs don't take them.
        for args in [
            &["ip", "link del", "dev", "wg-1"][..],
            &["ip", "link", "del", "dev wg-1"],
            &["ip", "link", "set", "dev wg-1 mtu", "1420 up"],
            &["ip", "route", "replace unreachable", "2001:db8::/32", "metric", "4278198272"],
            &["ip", "route", "replace", "unreachable 2001:db8::/32 metric", "4278198272"],
            &["wg", "show wg-1", "public-key"],
            &["wg", "show", "wg-1 public-key"],
        ] {
            let output = worker.sudo(args, Stdio::null());
            assert!(!output.status.success(), "{args:?}: {}", said(&output));
        }
        assert_eq!(site.snapshot(), before, "nothing of all that had an effect");
    });
}

#[track_caller]
fn refused(worker: &Account<'_>, args: &[&str]) {
    let started = Instant::now();
    let output = worker.sudo(args, Stdio::null());
    let said = said(&output);
    // By sudo itself, not by the program that it would have started.
    assert!(!output.status.success() && is_from_sudo(&output), "{args:?}: {said}");
    assert!(started.elapsed().as_secs() < 5, "{args:?} was refused, but took {:?}", started.elapsed());
}

fn is_from_sudo(output: &Output) -> bool {
    let stderr = String::from_utf8_lossy(&output.stderr);
    output.stdout.is_empty() && ["sudo: ", "sudoedit: ", "usage: sudo"].iter().any(|start| stderr.starts_with(start))
}

#[test]
fn allowed_sudo_command_with_hostile_input_grants_no_root_access() {
    world::run(0, |world| {
        let site = Site::new(world);
        let worker = Account::new(&site, Rights::Sudo);
        worker.apply(&site, &site.desired(1, &[]), &[]);

        // A file that the user can't read, as standard input: O_PATH asks for no right. wg would open it anew, as root.
        let secret = site.dir.path().join("etc/secret");
        fs::write(&secret, "root:hash-of-root:1:\n").expect("written");
        world.sh(&format!("chown 0:0 {0}; chmod 600 {0}", secret.display()));
        let by_path =
            || OpenOptions::new().read(true).custom_flags(OFlag::O_PATH.bits()).open(&secret).expect("a path");
        let reopened = world.command(VPN_HOST, "wg").args(["syncconf", "wg-1", "/dev/stdin"]).stdin(by_path()).output();
        let reopened = said(&reopened.expect("starts"));
        assert!(reopened.contains("hash-of-root"), "the danger is real: {reopened}");
        let output = worker.sudo(&["/usr/lib/uncloud/wg-syncconf", "wg-1"], by_path());
        assert!(!said(&output).contains("hash-of-root"), "{}", said(&output));
        let output = worker.sudo(&["/usr/lib/uncloud/wg-syncconf", "wg-1"], Stdio::null());
        assert!(!output.status.success() && said(&output).contains("is empty"), "{}", said(&output));

        // The caller's environment, programs and preloaded libraries do not get there.
        let script = "mkdir -p $1/own; printf '#!/bin/sh\\nid -u\\n' >$1/own/wg; chmod 755 $1/own/wg
            export WG_HIDE_KEYS=never LD_PRELOAD=/nonexistent.so WG_PROCESS_FOREGROUND=1 LOG_LEVEL=debug PATH=$1/own:$PATH
            sudo -n wg show wg-1 public-key; sudo -n --preserve-env=WG_HIDE_KEYS wg show wg-1 public-key
            sudo -n $1/own/wg show wg-1 public-key; sudo -n wireguard-go wg-7 2>&1";
        let state = site.dir.path().join("state");
        let started = Instant::now();
        let output = worker.sh(&format!("set -- {}; {script}", state.display()), "");
        let lines: Vec<&str> = std::str::from_utf8(&output.stdout).expect("text").lines().collect();
        assert_eq!(lines.first().copied(), Some(site.key.public_key().to_string().as_str()), "the real wg answered");
        assert!(!lines.contains(&"0"), "the user's own wg did not run: {lines:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("not allowed to set the following environment variables: WG_HIDE_KEYS"), "{stderr}");
        assert!(stderr.contains("sudo: a password is required"), "the user's own wg was refused: {stderr}");
        wait_until("wireguard-go is in the background", || site.sh("ip -br link").contains("wg-7"));
        assert!(started.elapsed().as_secs() < 10, "not in the foreground");
        let environment =
            world.sh("for pid in $(pgrep -f 'wireguard-go wg-7'); do tr '\\0' '\\n' </proc/$pid/environ; done");
        for name in ["LD_PRELOAD", "WG_HIDE_KEYS", "LOG_LEVEL", "own:"] {
            assert!(!environment.contains(name), "{environment}");
        }
        // The rules and the helper are root's.
        let output =
            worker.sh("echo x >>/etc/sudoers.d/uncloud; echo x >>/usr/lib/uncloud/wg-syncconf; cat /etc/shadow", "");
        assert_eq!(String::from_utf8_lossy(&output.stderr).matches("ermission denied").count(), 3, "{}", said(&output));
    });
}
