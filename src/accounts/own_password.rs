//! The operation with which users change their own passwords.

use std::sync::Arc;

use poem::Request;
use poem_openapi::{ApiResponse, OpenApi};

use super::{
    credentials::Authenticator,
    db,
    password::{NewPassword, PasswordLengthError},
};
use crate::{
    code::Code,
    error::Error,
    http::{Body, Password, PasswordText, Tags, TrustedProxies, input},
};

input! {
    /// A change of the caller's password.
    pub struct PasswordUpdate {
        /// The present password, asked for again: somebody else may be at the caller's browser.
        pub old_password: PasswordText<1, 1024>,
        /// The new password, of 8 to 256 characters.
        pub new_password: PasswordText<8, 256>,
    }
}

#[derive(ApiResponse)]
enum PasswordUpdated {
    /// The new password is valid, and the old one is not.
    #[oai(status = 204)]
    Updated,
}

/// The operation on the caller's own password.
pub struct PasswordApi {
    /// The authenticator that checks the present password, and caches it.
    pub authenticator: Arc<Authenticator>,
    /// The proxies that report a caller's address.
    pub proxies: Arc<TrustedProxies>,
}

#[OpenApi(tag = "Tags::Users")]
impl PasswordApi {
    /// Change my password
    ///
    /// Revokes all my tokens. Takes effect at once on the server that responds; other servers may cache the old password
    /// for less than a minute. Users of a directory change their passwords there.
    #[oai(path = "/v1/password", method = "put", operation_id = "password_update")]
    async fn update(
        &self,
        request: &Request,
        caller: Password,
        body: Body<PasswordUpdate>,
    ) -> Result<PasswordUpdated, Error> {
        let PasswordUpdate { old_password, new_password } = body.0;
        let too_long = |error: PasswordLengthError| Error::field("new_password", error.to_string());
        let new_password = NewPassword::new(&new_password.0).map_err(too_long)?;
        let client = self.proxies.client_of(request);
        match self.authenticator.authenticate(&caller.0.username, old_password.0, client).await {
            Ok(user) if user.user_id == caller.0.user_id => {}
            Ok(_) | Err(Error::Unauthenticated(_)) => {
                return Err(Error::field("old_password", "is not your present password"));
            }
            Err(error) => return Err(error),
        }
        let set = match self.authenticator.hash(&caller.0, new_password).await? {
            Some(hash) => db::set_password(&self.authenticator.pool, caller.0.user_id, &hash).await?,
            None => false,
        };
        if !set {
            let detail = "your password is the directory's; change it there".to_owned();
            return Err(Error::Conflict { code: Code::PasswordInDirectory, detail, field: None });
        }
        self.authenticator.forget_user(caller.0.user_id);
        Ok(PasswordUpdated::Updated)
    }
}
