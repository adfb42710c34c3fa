//! Parts on other machines: PostgreSQL and Redis over TLS with an authority of one's own, a Redis user for each host.

mod access;
mod certificates;
mod compose;
mod control_plane;
mod postgres;
mod redis_tls;
mod tunnel;
mod whole;
mod worker_host;
