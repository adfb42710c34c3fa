//! Who is asking: checked once, in the middleware; operations only say whom they let in.

use std::net::IpAddr;

use poem::{
    Request, RequestBody,
    web::headers::{Authorization, HeaderMapExt as _, authorization},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};

use super::operation::{Callers, Operation};
use crate::{
    accounts::{Authenticator, Scopes, User},
    error::Error,
    secret::Secret,
};

/// Who asks, and for what their way of signing in is good.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub user: User,
    /// None: all that the user may do, for it was the password.
    pub scopes: Option<Scopes>,
}

impl Caller {
    const fn by(&self) -> By {
        if self.scopes.is_none() { By::Password } else { By::Token }
    }
}

/// Everybody with an account.
#[derive(Debug)]
pub struct SignedIn(pub User);

/// Staff only.
#[derive(Debug)]
pub struct Staff(pub User, pub By);

/// How somebody signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// With user name and password.
    Password,
    /// With a token, which may have fallen into wrong hands.
    Token,
}

/// Everybody with an account, but not by a token.
#[derive(Debug)]
pub struct Password(pub User);

/// What an anonymous caller is told.
pub(super) const SIGN_IN: &str = "sign in with user name and password (HTTP Basic) or a token (Bearer)";

fn signed_in(caller: Option<&Caller>) -> Result<&Caller, Error> {
    caller.ok_or_else(|| Error::Unauthenticated(SIGN_IN.into()))
}

fn staff(caller: Option<&Caller>) -> Result<&Caller, Error> {
    let caller = signed_in(caller)?;
    if caller.user.staff { Ok(caller) } else { Err(Error::Forbidden("only staff may do this".into())) }
}

fn password(caller: Option<&Caller>) -> Result<&Caller, Error> {
    let caller = signed_in(caller)?;
    let refused = || Error::Forbidden("a token can't do this; sign in with user name and password".into());
    if caller.scopes.is_none() { Ok(caller) } else { Err(refused()) }
}

/// Refuses who may not ask for this operation at all; before anything else is looked at, also answers that were kept.
pub(super) fn admit(operation: &Operation, caller: Option<&Caller>) -> Result<(), Error> {
    let for_staff = operation.callers == Callers::Staff;
    let caller = match operation.callers {
        Callers::Anybody => return Ok(()),
        Callers::WithPassword => return password(caller).map(drop),
        Callers::SignedIn | Callers::Staff => signed_in(caller)?,
    };
    if let Some(scopes) = &caller.scopes {
        scopes.allow(&operation.method, for_staff)?;
    }
    if for_staff { staff(Some(caller)).map(drop) } else { Ok(()) }
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
macro_rules! lets_in {
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
lets_in!(SignedIn, signed_in, ["basic", "bearer"]);
lets_in!(Staff, staff, by, ["basic", "bearer"]);
lets_in!(Password, password, ["basic"]);

/// Whether a request has a token that was right a moment ago.
pub(super) fn has_known_token(authenticator: &Authenticator, request: &Request) -> bool {
    let bearer = request.headers().typed_get::<Authorization<authorization::Bearer>>();
    bearer.is_some_and(|bearer| authenticator.remembers_token(&Secret::new(bearer.token().to_owned())))
}

/// Whom a request names, if anybody; wrong credentials are refused wherever they are sent.
pub(super) async fn caller(
    authenticator: &Authenticator,
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
