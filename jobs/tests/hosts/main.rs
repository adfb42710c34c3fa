//! Real hosts on one machine: network namespaces, `ip`, `wg` and wireguard-go, nothing simulated.

mod abuse;
mod account;
mod apply;
mod backup;
mod cli;
mod clock;
mod end_to_end;
mod faults;
mod full;
mod handbook;
mod leaks;
mod log;
mod privilege;
mod recovery;
mod second_host;
mod secrets;
mod shutdown;
mod site;
mod soak;
mod tunnel;
mod up;
mod versions;
