//! The creation, search and removal of pools.

use ipnet::IpNet;
use ring::rand::SystemRandom;
use serde_json::json;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uncloud_wire::{JobId, Kind, QueueName, key::PrivateKey};

use super::{db, hostname::Hostname, prefix};
use crate::{
    code::Code,
    error::{Error, FieldError, OnConstraint as _},
    http::{PageQuery, check_if_match},
    queue::{NewJob, enqueue},
    request_context,
    seal::Sealer,
    user::User,
    vpn::pool::{NewPool, Pool},
};

/// The context of the encryption of pools' private keys.
pub(super) const SEAL_CONTEXT: &str = "vpn_pool.private_key";

/// Returns a valid prefix for a pool, or all its errors.
fn pool_prefix(new: &NewPool) -> Result<IpNet, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut wrong = |field: &str, message: String| errors.push(FieldError::new(field, message));
    let (address, written) = match new.network.split_once('/') {
        Some((address, size)) => (address, Some(size)),
        None => (new.network.as_str(), None),
    };
    let size = match (written.map(str::parse::<u8>), new.network_size) {
        (Some(Ok(written)), Some(size)) if written != size => {
            wrong(
                "network_size",
                format!("is {size}, but network has /{written}; give only one of them, or equal values"),
            );
            None
        }
        (Some(Ok(size)), _) | (None, Some(size)) => Some(size),
        (Some(Err(_)), _) => {
            wrong("network", "must have a number after the slash, as in 2a0a:e5c1:200::/40".into());
            None
        }
        (None, None) => {
            wrong("network_size", "is missing; give the prefix length here or after a slash in network".into());
            None
        }
    };
    let Ok(address) = address.parse::<std::net::IpAddr>() else {
        wrong(
            "network",
            "must be an IPv6 or IPv4 prefix, as in 2a0a:e5c1:200::/40 or 2a0a:e5c1:200:: with network_size".into(),
        );
        return Err(errors);
    };
    let Some(size) = size else { return Err(errors) };
    let Ok(network) = IpNet::new(address, size) else {
        wrong("network_size", format!("must be at most {}", if address.is_ipv4() { 32 } else { 128 }));
        return Err(errors);
    };
    if network.trunc() != network {
        wrong("network", format!("has bits set after its length; the prefix of that length is {}", network.trunc()));
    } else if !prefix::is_assignable(network) {
        wrong("network", "is reserved by the internet protocol; use a prefix that is routed to the host".into());
    }
    let longest = network.max_prefix_len();
    if new.subnetwork_size <= size || new.subnetwork_size > longest || new.subnetwork_size - size > 30 {
        let most = longest.min(size.saturating_add(30));
        wrong("subnetwork_size", format!("must be from {} to {most} for a pool of /{size}", size.saturating_add(1)));
    }
    if errors.is_empty() { Ok(network) } else { Err(errors) }
}

/// Creates a pool and requests its interface from the host.
pub async fn create(db: &PgPool, sealer: &Sealer, caller: &User, new: NewPool) -> Result<Pool, Error> {
    let network = pool_prefix(&new).map_err(Error::Invalid)?;
    let private_key = match new.private_key {
        Some(key) => key,
        None => PrivateKey::generate(&SystemRandom::new())?,
    };
    let ciphertext = sealer.seal(SEAL_CONTEXT, private_key.expose())?;
    let mut tx = request_context::begin(db).await?;
    let inserted = db::insert_pool(
        &mut tx,
        &db::PoolRow {
            network,
            subnetwork_size: i16::from(new.subnetwork_size),
            vpn_hostname: new.vpn_hostname.as_str(),
            listen_port: i32::from(new.listen_port),
            private_key: &ciphertext,
            key_id: sealer.key_id(),
            public_key: private_key.public_key(),
        },
    )
    .await
    .on_constraint("vpn_pool_host_port_key", || port_in_use(&new.vpn_hostname, new.listen_port.into()));
    let pool_id =
        match inserted.on_constraint("vpn_pool_network_overlap", || Error::conflict(Code::Overlap, "network", "")) {
            Err(Error::Conflict { code: Code::Overlap, .. }) => return Err(overlap(db, network).await?),
            result => result?,
        };
    let job = request_apply(&mut tx, pool_id, new.vpn_hostname.queue(), Some(caller.user_id)).await?;
    db::set_pool_job(&mut tx, pool_id, job).await?;
    tx.commit().await?;
    find(db, pool_id).await
}

pub(super) fn port_in_use(host: &Hostname, port: i32) -> Error {
    let detail = format!("{host} already serves a pool on port {port}; choose another port");
    Error::conflict(Code::PortInUse, "listen_port", detail)
}

async fn overlap(db: &PgPool, network: IpNet) -> Result<Error, Error> {
    let detail = match db::overlapping_pool(db, network).await? {
        Some((id, other)) => format!("{network} overlaps pool {id} ({other}); use a prefix of its own"),
        None => format!("{network} overlaps a pool that was just removed; try again"),
    };
    Ok(Error::conflict(Code::Overlap, "network", detail))
}

/// Returns a page of the pools, or of one host's, and one more if there are more.
pub async fn list(db: impl PgExecutor<'_>, vpn_hostname: Option<&str>, window: PageQuery) -> Result<Vec<Pool>, Error> {
    Ok(db::pools(db, vpn_hostname, window).await?)
}

/// Returns one pool.
pub async fn find(db: impl PgExecutor<'_>, pool_id: i64) -> Result<Pool, Error> {
    db::pools(db, None, PageQuery::only(pool_id)).await?.pop().ok_or_else(|| not_found(pool_id))
}

pub(super) fn not_found(pool_id: i64) -> Error {
    Error::NotFound(format!("VPN pool {pool_id} not found").into())
}

/// Starts the removal of a pool, first from its host, then from the database: two hosts must not announce its prefix.
pub async fn delete(db: &PgPool, caller: &User, pool_id: i64) -> Result<Pool, Error> {
    let mut tx = request_context::begin(db).await?;
    let locked = db::lock_pool(&mut tx, pool_id).await?.ok_or_else(|| not_found(pool_id))?;
    check_if_match(find(&mut *tx, pool_id)).await?;
    if locked.used > 0 {
        let networks = db::networks_of_pool(&mut tx, pool_id, 5).await?.join(", ");
        let rest = if locked.used > 5 { " and others" } else { "" };
        let detail = format!("the pool has {} networks ({networks}{rest}); delete them first", locked.used);
        return Err(Error::Conflict { code: Code::PoolInUse, detail, field: None });
    }
    if !locked.deleting {
        db::mark_pool_deleting(&mut tx, pool_id).await?;
        let hostname: Hostname = locked.vpn_hostname.parse().map_err(anyhow::Error::new)?;
        let job = request_apply(&mut tx, pool_id, hostname.queue(), Some(caller.user_id)).await?;
        db::set_pool_job(&mut tx, pool_id, job).await?;
    }
    // Read before the commit: after it the host may be faster, and an accepted deletion would return 404.
    let pool = find(&mut *tx, pool_id).await?;
    tx.commit().await?;
    Ok(pool)
}

/// Requests that the host apply the pool's newest generation.
pub(super) async fn request_apply(
    tx: &mut PgConnection,
    pool_id: i64,
    queue: &QueueName,
    requester: Option<i64>,
) -> sqlx::Result<JobId> {
    // The key contains the host: a host that is gone for good must not hold up its successor.
    let key = format!("vpn_pool:{pool_id}@{queue}");
    let job = NewJob::of(Kind::VpnApply, queue, json!({ "pool_id": pool_id }));
    enqueue(tx, &NewJob { unique_key: Some(&key), requester, ..job }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(network: &str, network_size: Option<u8>, subnetwork_size: u8) -> Result<IpNet, Vec<String>> {
        let new = NewPool {
            network: network.into(),
            network_size,
            subnetwork_size,
            vpn_hostname: "vpn-1.example.ch".parse().expect("valid"),
            listen_port: 51820,
            private_key: None,
        };
        pool_prefix(&new).map_err(|errors| errors.into_iter().map(|error| error.pointer).collect())
    }

    #[test]
    fn pool_prefix_with_length_in_either_field_is_accepted() {
        let expected: Result<IpNet, Vec<String>> = Ok("2a0a:e5c1:200::/40".parse().expect("valid"));
        assert_eq!(pool("2a0a:e5c1:200::", Some(40), 48), expected);
        assert_eq!(pool("2a0a:e5c1:200::/40", None, 48), expected);
        assert_eq!(pool("2A0A:E5C1:0200::/40", Some(40), 48), expected);
        assert_eq!(pool("10.0.0.0/24", None, 30), Ok("10.0.0.0/24".parse().expect("valid")));
    }

    #[test]
    fn pool_prefix_invalid_is_refused_with_its_field() {
        let network = || Err(vec!["/network".to_owned()]);
        let network_size = || Err(vec!["/network_size".to_owned()]);
        let subnetwork_size = || Err(vec!["/subnetwork_size".to_owned()]);
        assert_eq!(pool("2a0a:e5c1:200::", None, 48), network_size());
        assert_eq!(pool("2a0a:e5c1:200::/40", Some(41), 48), network_size());
        assert_eq!(pool("2a0a:e5c1:200::1/40", None, 48), network());
        assert_eq!(pool("2a0a:e5c1:200::/x", None, 48), network());
        assert_eq!(pool("vpn", Some(40), 48), network());
        assert_eq!(pool("2a0a:e5c1:200::\n", Some(40), 48), network());
        assert_eq!(pool("fe80::", Some(64), 80), network());
        assert_eq!(pool("2a0a:e5c1:200::", Some(129), 48), network_size());
        assert_eq!(pool("2a0a:e5c1:200::", Some(40), 40), subnetwork_size());
        assert_eq!(pool("2a0a:e5c1:200::", Some(40), 129), subnetwork_size());
        assert_eq!(pool("10.0.0.0/24", None, 33), subnetwork_size());
    }
}
