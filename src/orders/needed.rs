//! Orders that other orders depend on.

use sqlx::PgConnection;

use super::db;
use crate::{code::Code, error::Error};

/// Refuses to end an order while a running order depends on it.
pub(super) async fn refuse_needed(tx: &mut PgConnection, order_id: i64) -> Result<(), Error> {
    let dependents = db::dependents(tx, order_id).await?;
    let Some(first) = dependents.first() else { return Ok(()) };
    let named: Vec<String> =
        dependents.iter().map(|order| format!("order {} ({})", order.order_id, order.description)).collect();
    let detail = format!(
        "{} needs the {} of order {order_id} beyond its end; cancel the dependent order first",
        named.join(", "),
        first.required
    );
    Err(Error::Conflict { code: Code::OrderHasDependents, detail, field: None })
}
