//! Authenticated callers; each operation declares by type which of them it allows.

use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};

use super::{problem::SIGN_IN, scope::Scopes};
use crate::{error::Error, user::User};

/// The authenticated caller and the scopes of its credentials.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub user: User,
    /// Scopes of the token; `None` for a password, which allows everything that the user may do.
    pub scopes: Option<Scopes>,
}

impl Caller {
    const fn by(&self) -> AuthMethod {
        if self.scopes.is_none() { AuthMethod::Password } else { AuthMethod::Token }
    }
}

/// Any user with an account.
#[derive(Debug)]
pub struct AuthenticatedUser(pub User);

/// A staff user.
#[derive(Debug)]
pub struct Staff(pub User, pub AuthMethod);

/// The method by which a user has authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// User name and password.
    Password,
    /// A token, which may have been stolen.
    Token,
}

/// Any user with an account, signed in with a password and not with a token.
#[derive(Debug)]
pub struct Password(pub User);

pub(crate) fn signed_in(caller: Option<&Caller>) -> Result<&Caller, Error> {
    caller.ok_or_else(|| Error::Unauthenticated(SIGN_IN.into()))
}

pub(crate) fn staff(caller: Option<&Caller>) -> Result<&Caller, Error> {
    let caller = signed_in(caller)?;
    if caller.user.staff { Ok(caller) } else { Err(Error::Forbidden("only staff may do this".into())) }
}

pub(crate) fn password(caller: Option<&Caller>) -> Result<&Caller, Error> {
    let caller = signed_in(caller)?;
    let refused = || Error::Forbidden("a token can't do this; sign in with user name and password".into());
    if caller.scopes.is_none() { Ok(caller) } else { Err(refused()) }
}

fn scheme(name: &'static str, description: &'static str) -> MetaSecurityScheme {
    MetaSecurityScheme {
        ty: "http",
        description: Some(description),
        name: None,
        key_in: None,
        scheme: Some(name),
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    }
}

/// The framework tries each scheme itself and returns the last one's error; here both are tried before that.
macro_rules! auth_extractor {
    ($ty:ident, $check:ident $(, $by:ident)?, [$($scheme:literal),*]) => {
        impl<'a> ApiExtractor<'a> for $ty {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                let basic = scheme("basic", "User name and password.");
                registry.create_security_scheme("basic", basic);
                let bearer = scheme("bearer", "A token, created with `POST /v1/token`. GET needs the scope `read`, every other method `write`, and /v1/admin/ also `staff`.");
                registry.create_security_scheme("bearer", bearer);
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![$($scheme),*]
            }

            async fn from_request(
                request: &'a Request,
                _: &mut RequestBody,
                _: ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                let caller = $check(request.data::<Caller>())?;
                Ok(Self(caller.user.clone() $(, caller.$by())?))
            }
        }
    };
}
auth_extractor!(AuthenticatedUser, signed_in, ["basic", "bearer"]);
auth_extractor!(Staff, staff, by, ["basic", "bearer"]);
auth_extractor!(Password, password, ["basic"]);
