//! Authenticated callers; each operation declares by type which of them it allows.

use poem::{FromRequest, Request, RequestBody};

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

/// Declares an extractor of callers; the operation's row in the table says the same in the document.
macro_rules! extractor {
    ($ty:ident, $check:ident $(, $by:ident)?) => {
        impl<'a> FromRequest<'a> for $ty {
            async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
                let caller = $check(request.data::<Caller>())?;
                Ok(Self(caller.user.clone() $(, caller.$by())?))
            }
        }
    };
}
extractor!(AuthenticatedUser, signed_in);
extractor!(Staff, staff, by);
extractor!(Password, password);
