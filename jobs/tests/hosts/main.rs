//! Real hosts on one machine: network namespaces, `ip`, `wg` and wireguard-go, nothing simulated.

mod account;
mod apply;
mod privilege;
mod recovery;
mod site;
mod tunnel;
mod world;
