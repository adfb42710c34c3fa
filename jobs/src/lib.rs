//! What runs on the hosts: the jobs that `uncloud-worker` performs, and what they need from the machine.

pub mod cli;
pub mod handlers;
pub mod host;
pub mod provider;
pub mod supervisor;
pub mod worker;
