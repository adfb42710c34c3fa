//! A worker's access to Redis: a user of its own, limited to its own queue.

use std::fmt::Write as _;

use anyhow::ensure;
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use uncloud_wire::{QueueName, Secret};

/// The prefix of the names of workers' users; other users are never touched.
const PREFIX: &str = "host-";

/// The commands that the worker's side of [`uncloud_wire::stream`] sends, and nothing else; a test keeps the two in
/// step.
const COMMANDS: [&str; 9] =
    ["+multi", "+exec", "+xgroup|create", "+xreadgroup", "+xautoclaim", "+xpending", "+xclaim", "+xack", "+xdel"];

/// Returns the Redis user that a queue's workers log in as.
pub fn user_name(queue: &QueueName) -> String {
    format!("{PREFIX}{queue}")
}

/// Returns the user's rules for `ACL SETUSER` or, in one line, for an ACL file. Events and reports are write-only, so
/// that no worker reads what other workers of the queue reported; jobs and commands can't be added, so that no host
/// creates work for itself.
pub fn rules(queue: &QueueName, password: &Secret<String>) -> Vec<String> {
    let hash = hex(digest(&SHA256, password.expose().as_bytes()).as_ref());
    let mut rules: Vec<String> =
        ["reset", "on", &format!("#{hash}"), "resetchannels", "-@all"].map(str::to_owned).into();
    rules.extend(COMMANDS.map(str::to_owned));
    rules.push(format!("~{}", queue.jobs_key()));
    rules.push(format!("(-@all +xadd %W~{} %W~{})", queue.events_key(), queue.reports_key()));
    rules.push(format!("(-@all +xread %R~{})", queue.control_key()));
    rules
}

/// Generates a password without characters that have a meaning in a URL.
pub fn new_password() -> anyhow::Result<Secret<String>> {
    let mut random = [0; 32];
    SystemRandom::new().fill(&mut random).map_err(|_| anyhow::anyhow!("the system provides no random numbers"))?;
    Ok(Secret::new(hex(&random)))
}

/// Returns the broker's URL for a worker: that of Redis at `address`, which is a URL too, with the worker's user.
pub fn broker_url(
    address: &Secret<String>,
    queue: &QueueName,
    password: &Secret<String>,
) -> anyhow::Result<Secret<String>> {
    uncloud_wire::broker::client(address, None)?; // reports an invalid address
    let (user, password) = (user_name(queue), password.expose());
    let (scheme, rest) = address.expose().split_once("://").unwrap_or_default();
    if scheme.ends_with("unix") {
        let path = rest.split(['?', '#']).next().unwrap_or(rest);
        return Ok(Secret::new(format!("{scheme}://{path}?user={user}&pass={password}")));
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    ensure!(!host.is_empty(), "the URL of Redis has no host; write it as in redis://redis.example.ch:6379");
    Ok(Secret::new(format!("{scheme}://{user}:{password}@{host}{path}")))
}

/// A worker's user as Redis lists it.
#[derive(Debug, PartialEq, Eq)]
pub struct Access {
    /// The queue whose workers log in as this user.
    pub queue: QueueName,
    /// True if the user may log in.
    pub enabled: bool,
}

/// Returns the workers' users among the lines of `ACL LIST`.
pub fn listed(lines: &[String]) -> Vec<Access> {
    let access = |line: &String| {
        let mut words = line.split(' ');
        let queue = words.nth(1)?.strip_prefix(PREFIX)?.parse().ok()?;
        Some(Access { queue, enabled: words.next() == Some("on") })
    };
    lines.iter().filter_map(access).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn rules_contain_one_queue_and_no_password() {
        let queue = "vpn-1.example.ch".parse().expect("a queue");
        let rules = rules(&queue, &secret("hunter2")).join(" ");
        let expected = "reset on #f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7 resetchannels -@all \
             +multi +exec +xgroup|create +xreadgroup +xautoclaim +xpending +xclaim +xack +xdel \
             ~uncloud:{vpn-1.example.ch}:jobs \
             (-@all +xadd %W~uncloud:{vpn-1.example.ch}:events %W~uncloud:{vpn-1.example.ch}:reports) \
             (-@all +xread %R~uncloud:{vpn-1.example.ch}:control)";
        assert_eq!(rules, expected);
        assert_ne!(new_password().expect("random"), new_password().expect("random"));
    }

    #[test]
    fn broker_url_for_a_worker_has_its_own_user() {
        let queue = "vpn-1.example.ch".parse().expect("a queue");
        let url = |address: &str| {
            let url = broker_url(&secret(address), &queue, &secret("pw")).map_err(|error| error.to_string())?;
            Ok::<_, String>(url.expose().clone())
        };
        for (address, expected) in [
            (
                "rediss://admin:a%40b@redis.example.ch:6380/0",
                "rediss://host-vpn-1.example.ch:pw@redis.example.ch:6380/0",
            ),
            ("redis://:secret@[::1]:6379", "redis://host-vpn-1.example.ch:pw@[::1]:6379"),
            ("redis://127.0.0.1", "redis://host-vpn-1.example.ch:pw@127.0.0.1"),
            ("redis+unix:///run/r.sock?user=a&pass=b", "redis+unix:///run/r.sock?user=host-vpn-1.example.ch&pass=pw"),
        ] {
            assert_eq!(url(address).as_deref(), Ok(expected));
        }
        url("redis.example.ch").expect_err("no URL");
    }

    #[test]
    fn listed_ignores_users_that_are_not_workers() {
        let lines = [
            "user default on nopass ~* &* +@all",
            "user host-vpn-1.example.ch on #ab ~x",
            "user host-billing off",
            "user host-a_b on",
        ];
        let listed = listed(&lines.map(str::to_owned));
        let names: Vec<_> = listed.iter().map(|access| (access.queue.as_str(), access.enabled)).collect();
        assert_eq!(names, [("vpn-1.example.ch", true), ("billing", false)]);
    }
}
