//! Who is asking: checked once, in the middleware; operations only say whom they let in.

use std::net::IpAddr;

use poem::{
    Request,
    web::headers::{Authorization, HeaderMapExt as _, authorization},
};
use poem_openapi::{SecurityScheme, auth::Basic};

use crate::{
    accounts::{Authenticator, User},
    error::Error,
    secret::Secret,
};

/// Everybody with an account.
#[derive(SecurityScheme)]
#[oai(ty = "basic", rename = "basic", checker = "signed_in")]
pub struct SignedIn(pub User);

/// Staff only.
#[derive(SecurityScheme)]
#[oai(ty = "basic", rename = "basic", checker = "staff")]
pub struct Staff(pub User);

/// What an anonymous caller is told.
pub(super) const SIGN_IN: &str = "sign in with user name and password (HTTP Basic)";

#[expect(clippy::unused_async, reason = "the framework's signature")]
async fn signed_in(request: &Request, _: Basic) -> poem::Result<User> {
    request.data::<User>().cloned().ok_or_else(|| Error::Unauthenticated(SIGN_IN.into()).into())
}

async fn staff(request: &Request, basic: Basic) -> poem::Result<User> {
    let user = signed_in(request, basic).await?;
    if user.staff { Ok(user) } else { Err(Error::Forbidden("only staff may do this".into()).into()) }
}

/// Whom a request names, if anybody; wrong credentials are refused wherever they are sent.
pub(super) async fn caller(
    authenticator: &Authenticator,
    request: &Request,
    client: IpAddr,
) -> Result<Option<User>, Error> {
    if !request.headers().contains_key("authorization") {
        return Ok(None);
    }
    let basic = request.headers().typed_get::<Authorization<authorization::Basic>>();
    let basic = basic.ok_or_else(|| Error::Unauthenticated(SIGN_IN.into()))?;
    let password = Secret::new(basic.password().to_owned());
    authenticator.authenticate(basic.username(), password, client).await.map(Some)
}
