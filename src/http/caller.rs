//! Who is asking; operations only say whom they let in.

use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};

use super::{problem::SIGN_IN, scope::Scopes};
use crate::{error::Error, user::User};

/// Who asks, and for what their way of signing in is good.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub user: User,
    /// None: all that the user may do, for it was the password.
    pub scopes: Option<Scopes>,
}

impl Caller {
    const fn by(&self) -> AuthMethod {
        if self.scopes.is_none() { AuthMethod::Password } else { AuthMethod::Token }
    }
}

/// Everybody with an account.
#[derive(Debug)]
pub struct AuthenticatedUser(pub User);

/// Staff only.
#[derive(Debug)]
pub struct Staff(pub User, pub AuthMethod);

/// How somebody signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// With user name and password.
    Password,
    /// With a token, which may have fallen into wrong hands.
    Token,
}

/// Everybody with an account, but not by a token.
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

/// The framework asks each scheme itself, and the last one's refusal wins; here both are asked before it comes to that.
macro_rules! auth_extractor {
    ($ty:ident, $check:ident $(, $by:ident)?, [$($scheme:literal),*]) => {
        impl<'a> ApiExtractor<'a> for $ty {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                let basic = scheme("basic", "User name and password.");
                registry.create_security_scheme("basic", basic);
                let bearer = scheme("bearer", "A token, made with `POST /v1/token`. GET needs its scope `read`, every other method `write`, and /v1/admin/ besides `staff`.");
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
