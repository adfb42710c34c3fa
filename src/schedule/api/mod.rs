//! The operations on schedules; staff only.

mod body;
mod scalars;
mod schedule;

pub use schedule::ScheduleApi;
