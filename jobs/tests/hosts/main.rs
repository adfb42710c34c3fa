//! Real hosts on one machine: network namespaces, `ip`, `wg` and wireguard-go, nothing simulated.

mod account;
mod apply;
mod backup;
mod cli;
mod clock;
mod end_to_end;
mod faults;
mod full;
mod gate;
mod handbook;
mod instance;
mod log;
mod privilege;
mod process;
mod provider;
mod random;
mod recovery;
mod second_host;
mod secrets;
mod shutdown;
mod site;
mod soak;
mod tunnel;
mod up;
mod versions;
mod world;
