//! Bills over HTTP.

mod admin_bill;
mod admin_correction;
mod admin_item;
mod admin_run;
mod bill;
mod body;
mod content;
mod file;

pub use admin_bill::AdminBillApi;
pub use admin_correction::RateCorrectionApi;
pub use admin_item::BillItemApi;
pub use admin_run::BillRunApi;
pub use bill::BillApi;
