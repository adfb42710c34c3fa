//! The API's operations on the caller's own tokens, and for staff on those of other users.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    types::ToJSON as _,
};
use serde_json::Value;

use super::{
    db::{self, TokenRow},
    hash, new_secret,
};
use crate::{
    accounts::credentials::Authenticator,
    code::Code,
    database::Database,
    error::Error,
    http::{
        AuthenticatedUser, Body, Cursor, Id, Json, Line, Number, PageQuery, Password, Representation, Scope, Scopes,
        Sort, Staff, Tags, check_if_match, input,
    },
    request_context,
};

/// The lifetime of a token in days, if its creator sets none.
const DAYS: i32 = 90;

input! {
    /// A token to be created.
    pub struct TokenCreate {
        /// The token's name, such as that of the program that will use it.
        pub name: Line<100>,
        /// The scopes of the token.
        pub scopes: Scopes,
        /// The number of days until the token expires; 90 if omitted.
        pub expires_in_days: Option<Number<1, 366>>,
    }
}

/// A credential with which a program signs in without a password.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct Token {
    /// Identifies the token.
    id: i64,
    /// The name that its user gave it.
    name: String,
    /// The first characters of its secret.
    prefix: String,
    /// The scopes of the token.
    scopes: Vec<Scope>,
    /// The time at which the token expires.
    expires_at: DateTime<Utc>,
    /// The time of its last use, to about a minute; absent if it was never used.
    last_used_at: Option<DateTime<Utc>>,
    /// The time at which the token was created.
    created_at: DateTime<Utc>,
    /// The secret to send as `Authorization: Bearer ...`. It is returned once, on creation.
    secret: Option<String>,
}

impl From<TokenRow> for Token {
    fn from(row: TokenRow) -> Self {
        Self {
            id: row.token_id,
            name: row.name,
            prefix: row.prefix,
            scopes: row.scopes,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            created_at: row.created_at,
            secret: None,
        }
    }
}

impl Representation for TokenRow {
    fn representation(self) -> Option<Value> {
        Token::from(self).to_json()
    }
}

/// A page of tokens.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct TokenList {
    /// The tokens, in the requested sort order.
    items: Vec<Token>,
    /// The cursor of the next page; absent on the last page.
    next: Option<String>,
}

#[derive(ApiResponse)]
enum TokenCreated {
    /// The token is created. Only this response contains its secret.
    #[oai(status = 201)]
    Created(
        Json<Token>,
        /// The path of the token.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
enum TokenDeleted {
    /// The token is no longer accepted.
    #[oai(status = 204)]
    Deleted,
}

fn not_found(id: i64) -> Error {
    Error::NotFound(format!("token {id} not found").into())
}

/// Returns a page of a user's tokens.
async fn page(db: &Database, user_id: i64, window: PageQuery) -> Result<Json<TokenList>, Error> {
    let (rows, next) = window.page(db::tokens(db, user_id, window).await?, |row| row.token_id);
    Ok(Json(TokenList { items: rows.into_iter().map(Into::into).collect(), next }))
}

/// The operations on tokens.
pub struct TokenApi {
    /// The database with the tokens.
    pub pool: Database,
    /// The authenticator that caches tokens.
    pub authenticator: Arc<Authenticator>,
}

#[OpenApi(tag = "Tags::Tokens")]
impl TokenApi {
    /// Create a token
    ///
    /// Requires the password: a stolen token can't create other ones.
    #[oai(path = "/v1/token", method = "post", operation_id = "token_create")]
    async fn create(&self, caller: Password, body: Body<TokenCreate>) -> Result<TokenCreated, Error> {
        let scopes = body.0.scopes;
        if scopes.has(Scope::Staff) && !caller.0.staff {
            return Err(Error::field("scopes", "must not include staff, because you are not staff"));
        }
        let secret = new_secret()?;
        let secret_hash = hash(&secret).ok_or_else(|| anyhow::anyhow!("a new secret is malformed"))?;
        let days = body.0.expires_in_days.map_or(DAYS, Number::get);
        let mut tx = request_context::begin(&self.pool).await?;
        if db::count(&mut tx, caller.0.user_id).await? >= db::MOST {
            let detail = format!("you have {} tokens; delete tokens that you do not need", db::MOST);
            return Err(Error::Conflict { code: Code::TooManyTokens, detail, field: None });
        }
        let (name, given) = (body.0.name.0, (&secret, &secret_hash[..]));
        let row = db::insert(&mut tx, caller.0.user_id, &name, &scopes, days, given).await?;
        tx.commit().await?;
        let location = format!("/v1/token/{}", row.token_id);
        Ok(TokenCreated::Created(Json(Token { secret: Some(secret.expose().clone()), ..row.into() }), location))
    }

    /// List my tokens
    ///
    /// Lists my tokens in pages without their secrets, the oldest first unless `sort` requests another order.
    #[oai(path = "/v1/token", method = "get", operation_id = "token_list")]
    async fn list(
        &self,
        caller: AuthenticatedUser,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<TokenList>, Error> {
        page(&self.pool, caller.0.user_id, PageQuery::new(limit.0, cursor.0, sort.0)?).await
    }

    /// Read a token
    ///
    /// Returns the token without its secret, which is returned only once.
    #[oai(path = "/v1/token/:id", method = "get", operation_id = "token_read")]
    async fn read(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the token.
        id: Path<Id>,
    ) -> Result<Json<Token>, Error> {
        let row = db::tokens(&self.pool, caller.0.user_id, PageQuery::only(id.0.0)).await?.pop();
        Ok(Json(row.ok_or_else(|| not_found(id.0.0))?.into()))
    }

    /// Revoke a token
    ///
    /// Takes effect at once on the server that responds; other servers may cache the token for less than a minute.
    #[oai(path = "/v1/token/:id", method = "delete", operation_id = "token_delete")]
    async fn delete(
        &self,
        caller: AuthenticatedUser,
        /// Identifies the token.
        id: Path<Id>,
    ) -> Result<TokenDeleted, Error> {
        self.revoke(caller.0.user_id, id.0.0).await
    }

    /// List a user's tokens
    ///
    /// Lists a user's tokens for staff, in pages without their secrets, the oldest first unless `sort` requests another
    /// order.
    #[oai(path = "/v1/admin/user/:id/token", method = "get", operation_id = "admin_token_list")]
    async fn list_of(
        &self,
        _staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<TokenList>, Error> {
        page(&self.pool, id.0.0, PageQuery::new(limit.0, cursor.0, sort.0)?).await
    }

    /// Revoke a user's token
    ///
    /// Revokes a user's token for staff, as when it was stolen; the user's other tokens and password remain valid.
    #[oai(path = "/v1/admin/user/:id/token/:token_id", method = "delete", operation_id = "admin_token_delete")]
    async fn delete_of(
        &self,
        _staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
        /// Identifies the token.
        token_id: Path<Id>,
    ) -> Result<TokenDeleted, Error> {
        self.revoke(id.0.0, token_id.0.0).await
    }
}

impl TokenApi {
    async fn revoke(&self, user_id: i64, token_id: i64) -> Result<TokenDeleted, Error> {
        let mut tx = request_context::begin(&self.pool).await?;
        db::lock(&mut tx, token_id).await?;
        let current = async {
            let row = db::tokens(&mut *tx, user_id, PageQuery::only(token_id)).await?.pop();
            row.ok_or_else(|| not_found(token_id))
        };
        check_if_match(current).await?;
        let secret_hash = db::delete(&mut tx, user_id, token_id).await?.ok_or_else(|| not_found(token_id))?;
        tx.commit().await?;
        self.authenticator.forget_token(&secret_hash).await;
        Ok(TokenDeleted::Deleted)
    }
}
