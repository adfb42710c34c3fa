//! Authentication and access: checked once, before anything else.

use std::{net::IpAddr, sync::Arc};

use poem::{
    Request,
    web::headers::{Authorization, HeaderMapExt as _, authorization},
};
use uncloud_wire::Secret;

use crate::{
    accounts::Authenticator,
    error::Error,
    http::{
        caller::{Caller, password, signed_in, staff},
        problem::SIGN_IN,
    },
    server::operations::{Access, Operation},
};

/// Refuses callers that may not use this operation at all; checked before anything else, including stored responses.
pub(in crate::server) fn authorize(operation: &Operation, caller: Option<&Caller>) -> Result<(), Error> {
    let for_staff = operation.rules.access == Access::Staff;
    let caller = match operation.rules.access {
        Access::Public => return Ok(()),
        Access::WithPassword => return password(caller).map(drop),
        Access::Authenticated | Access::Staff => signed_in(caller)?,
    };
    if let Some(scopes) = &caller.scopes {
        scopes.allow(&operation.method, for_staff)?;
    }
    if for_staff { staff(Some(caller)).map(drop) } else { Ok(()) }
}

/// Returns whether a request has a token that was valid a moment ago.
pub(in crate::server) fn has_known_token(authenticator: &Authenticator, request: &Request) -> bool {
    let bearer = request.headers().typed_get::<Authorization<authorization::Bearer>>();
    bearer.is_some_and(|bearer| authenticator.remembers_token(&Secret::new(bearer.token().to_owned())))
}

/// Returns the authenticated caller of a request, if it has credentials; wrong credentials are refused on every
/// operation.
pub(in crate::server) async fn caller(
    authenticator: &Arc<Authenticator>,
    request: &Request,
    client: IpAddr,
) -> Result<Option<Caller>, Error> {
    let headers = request.headers();
    if !headers.contains_key("authorization") {
        return Ok(None);
    }
    if let Some(basic) = headers.typed_get::<Authorization<authorization::Basic>>() {
        let password = Secret::new(basic.password().to_owned());
        let user = authenticator.authenticate(basic.username(), password, client).await?;
        return Ok(Some(Caller { user, scopes: None }));
    }
    let bearer = headers.typed_get::<Authorization<authorization::Bearer>>();
    let bearer = bearer.ok_or_else(|| Error::Unauthenticated(SIGN_IN.into()))?;
    let (user, scopes) = authenticator.bearer(&Secret::new(bearer.token().to_owned())).await?;
    Ok(Some(Caller { user, scopes: Some(scopes) }))
}
