//! Bills in PostgreSQL: what is due, the bills written, the runs that write them, and the checks of the result.

mod abort;
mod copy;
mod correction;
mod due;
mod history;
mod item;
mod part;
mod read;
mod run;
mod simulation;
mod verify;
mod write;

pub(super) use abort::*;
pub(super) use correction::*;
pub(super) use due::*;
pub(super) use history::*;
pub(super) use item::*;
pub(super) use part::*;
pub(super) use read::*;
pub(super) use run::*;
pub(super) use simulation::*;
pub(super) use verify::{BilledOrder, billed_orders, missing_numbers, unsound_bills, wrongly_marked};
pub(super) use write::write;
