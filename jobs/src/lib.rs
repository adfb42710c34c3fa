//! The worker on the hosts: the jobs that `uncloud-worker` runs, and their use of the machine.

pub mod cli;
pub mod handlers;
pub mod host;
pub mod provider;
pub mod systemd;
pub mod worker;
