//! Real hosts on one machine: network namespaces, `ip`, `wg` and wireguard-go, nothing simulated.

mod apply;
mod tunnel;
mod world;
