//! Random faults while customers work; in the end everything must be as it was promised.
//!
//! From a seed follow the faults, their order and parameters, and every customer's decisions; how processes
//! interleave does not. Tests make short runs, `./dev soak` makes long ones.

mod gate;

pub mod billing;
pub mod runner;
pub mod vpn;
