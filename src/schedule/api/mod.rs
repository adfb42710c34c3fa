//! Schedules over HTTP; staff only.

mod body;
mod scalars;
mod schedule;

pub use schedule::ScheduleApi;
