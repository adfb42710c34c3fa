//! Real hosts on one machine: network namespaces, `ip`, `wg` and wireguard-go, nothing simulated.

mod apply;
mod recovery;
mod site;
mod tunnel;
mod world;
