//! Orders of VPN networks, which end with their network.

use sqlx::PgPool;

use super::{
    db,
    network::{Network, NetworkRequest},
    service,
};
use crate::{
    catalog,
    code::Code,
    error::Error,
    http::check_if_match,
    orders, request_context,
    services::{Delivery, Placed, Value},
    user::User,
    vpn::networks,
};

/// Orders a network on the terms of the product that the VPN hosts provision.
pub(super) async fn order(
    db: &PgPool,
    placed: Placed,
    caller: &User,
    request: NetworkRequest,
) -> Result<Network, Error> {
    let product = catalog::load_delivering(db, Delivery::VpnNetwork).await?.ok_or_else(|| Error::Conflict {
        code: Code::NoVpnProduct,
        detail: "no VPN product is on sale; staff have to put one on sale (PUT /v1/admin/product/{id}) or add it \
                 (`uncloud db-add-defaults`)"
            .into(),
        field: None,
    })?;
    let parameters = [
        (service::NETWORK_SIZE.to_owned(), Value::Number(request.size.into())),
        (service::PUBLIC_KEY.to_owned(), Value::Text(request.public_key.to_string())),
    ];
    let mut tx = request_context::begin(db).await?;
    let order_id = orders::order_of_service(&mut tx, caller, product, parameters.into(), service::PARAMETERS).await?;
    let network = networks::create(&mut tx, caller.user_id, order_id, request).await?;
    let now = crate::clock::now(&mut *tx).await?;
    placed(&mut tx, caller.user_id, &[order_id], now).await?;
    tx.commit().await?;
    Ok(network)
}

/// Deletes a network and cancels its order. Repeated deletion has no further effect.
pub(super) async fn delete(db: &PgPool, caller: &User, network_id: i64) -> Result<Network, Error> {
    let mut tx = request_context::begin(db).await?;
    let order_id = networks::find(&mut *tx, caller, network_id).await?.order_id;
    // Lock in the usual order of customer, pool, network, so that two changes never deadlock.
    orders::lock_customer(&mut tx, caller.user_id).await?;
    let locked = db::lock_pool_of_network(&mut tx, network_id, caller.user_id).await?;
    locked.ok_or_else(|| networks::not_found(network_id))?;
    check_if_match(networks::find(&mut *tx, caller, network_id)).await?;
    if orders::end_of_service(&mut tx, order_id).await? {
        networks::deprovision(&mut tx, caller.user_id, order_id).await?;
    }
    // Read before the commit: after it the host may be faster, and an accepted deletion would return 404.
    let network = networks::find(&mut *tx, caller, network_id).await?;
    tx.commit().await?;
    Ok(network)
}
