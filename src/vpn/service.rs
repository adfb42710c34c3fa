//! VPN networks as a service of orders.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uncloud_wire::key::PublicKey;

use super::network::NetworkRequest;
use crate::{
    error::{Error, FieldError},
    services::{Parameters, Provision, Service, Value},
    vpn::networks,
};

/// The name of the parameter with the length of the requested prefix.
pub(super) const NETWORK_SIZE: &str = "network_size";
/// The name of the parameter with the customer's public key.
pub(super) const PUBLIC_KEY: &str = "wireguard_public_key";
/// The parameters that a VPN network has besides those of the catalogue.
pub(super) const PARAMETERS: &[&str] = &[NETWORK_SIZE, PUBLIC_KEY];

/// The service that provisions VPN networks.
#[derive(Debug)]
pub struct VpnService;

impl Service for VpnService {
    fn parameters(&self) -> &'static [&'static str] {
        PARAMETERS
    }

    fn read(&self, parameters: &Parameters) -> Result<Arc<dyn Provision>, Vec<FieldError>> {
        let size = match parameters.get(NETWORK_SIZE) {
            Some(Value::Number(size)) => u8::try_from(*size).ok().filter(|size| (1..=128).contains(size)),
            _ => None,
        };
        let size = size.ok_or("must be a prefix length, a whole number from 1 to 128".to_owned());
        let public_key = match parameters.get(PUBLIC_KEY) {
            Some(Value::Text(text)) => text.parse::<PublicKey>().map_err(|error| error.to_string()),
            _ => Err("must be a public key, as `wg pubkey` prints it".to_owned()),
        };
        match (size, public_key) {
            (Ok(size), Ok(public_key)) => Ok(Arc::new(NetworkRequest { size, public_key })),
            (size, public_key) => {
                let errors = [(NETWORK_SIZE, size.err()), (PUBLIC_KEY, public_key.err())];
                Err(errors.into_iter().filter_map(|(name, error)| Some(FieldError::new(name, error?))).collect())
            }
        }
    }

    fn deprovision<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        user_id: i64,
        order_id: i64,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(networks::deprovision(tx, user_id, order_id))
    }
}

impl Provision for NetworkRequest {
    fn provision<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        user_id: i64,
        order_id: i64,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { networks::create(tx, user_id, order_id, *self).await.map(drop) })
    }
}
