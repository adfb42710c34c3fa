//! Tokens over HTTP: everybody's own, and for staff those of others.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::ToJSON as _,
};
use serde_json::Value;
use sqlx::PgPool;

use super::{
    db::{self, TokenRow},
    hash, new_secret,
};
use crate::{
    accounts::credentials::Authenticator,
    code::Code,
    error::Error,
    http::{
        Body, Cursor, Id, Line, Number, Password, Scope, Scopes, Shown, SignedIn, Sort, Staff, Tags, Window, input,
        unless_changed,
    },
    request_context,
};

/// Days that a token lives when its maker does not say.
const DAYS: i32 = 90;

input! {
    /// A token to be made.
    pub struct TokenCreate {
        /// What to call it: the program that will use it.
        pub name: Line<100>,
        /// What it may be used for.
        pub scopes: Scopes,
        /// Days until it ends; 90 when left out.
        pub expires_in_days: Option<Number<1, 366>>,
    }
}

/// How a program signs in without a password.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct Token {
    /// Identifies the token.
    id: i64,
    /// What its user calls it.
    name: String,
    /// How its secret begins.
    prefix: String,
    /// What it may be used for.
    scopes: Vec<Scope>,
    /// When it ends.
    expires_at: DateTime<Utc>,
    /// When it was last used, to about a minute; absent when it never was.
    last_used_at: Option<DateTime<Utc>>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// What to send as `Authorization: Bearer ...`. Shown this once.
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

impl Shown for TokenRow {
    fn shown(self) -> Option<Value> {
        Token::from(self).to_json()
    }
}

/// A page of tokens.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct TokenList {
    /// In the order asked for.
    items: Vec<Token>,
    /// Cursor of the next page; absent on the last.
    next: Option<String>,
}

#[derive(ApiResponse)]
enum TokenCreated {
    /// Made. Its secret is in this answer only.
    #[oai(status = 201)]
    Created(
        Json<Token>,
        /// Where the token is.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
enum TokenDeleted {
    /// It lets nobody in any more.
    #[oai(status = 204)]
    Deleted,
}

fn not_found(id: i64) -> Error {
    Error::NotFound(format!("there is no token {id}").into())
}

/// A page of somebody's tokens.
async fn page(db: &PgPool, user_id: i64, window: Window) -> Result<Json<TokenList>, Error> {
    let (rows, next) = window.page(db::tokens(db, user_id, None, window).await?, |row| row.token_id);
    Ok(Json(TokenList { items: rows.into_iter().map(Into::into).collect(), next }))
}

/// The operations.
pub struct TokenApi {
    /// Where the tokens are.
    pub pool: PgPool,
    /// Remembers them.
    pub authenticator: Arc<Authenticator>,
}

#[OpenApi(tag = "Tags::Tokens")]
impl TokenApi {
    /// Make a token
    ///
    /// Only with the password: a token that fell into wrong hands makes no other ones.
    #[oai(path = "/v1/token", method = "post", operation_id = "token_create")]
    async fn create(&self, caller: Password, body: Body<TokenCreate>) -> Result<TokenCreated, Error> {
        let scopes = body.0.scopes;
        if scopes.has(Scope::Staff) && !caller.0.staff {
            return Err(Error::field("scopes", "can't have staff, because you are not staff"));
        }
        let secret = new_secret()?;
        let secret_hash = hash(&secret).ok_or_else(|| anyhow::anyhow!("a new secret has the wrong form"))?;
        let days = body.0.expires_in_days.map_or(DAYS, Number::get);
        let mut tx = request_context::begin(&self.pool).await?;
        if db::count(&mut tx, caller.0.user_id).await? >= db::MOST {
            let detail = format!("you have {} tokens; delete those that you do not need", db::MOST);
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
    /// The oldest first unless `sort` says otherwise, in pages, without their secrets.
    #[oai(path = "/v1/token", method = "get", operation_id = "token_list")]
    async fn list(
        &self,
        caller: SignedIn,
        /// Tokens on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<TokenList>, Error> {
        page(&self.pool, caller.0.user_id, Window::new(limit.0, cursor.0, sort.0)?).await
    }

    /// Read a token
    ///
    /// Without its secret, which is shown only once.
    #[oai(path = "/v1/token/:id", method = "get", operation_id = "token_read")]
    async fn read(
        &self,
        caller: SignedIn,
        /// Identifies the token.
        id: Path<Id>,
    ) -> Result<Json<Token>, Error> {
        let row = db::tokens(&self.pool, caller.0.user_id, Some(id.0.0), Window::all()).await?.pop();
        Ok(Json(row.ok_or_else(|| not_found(id.0.0))?.into()))
    }

    /// Revoke a token
    ///
    /// At once on the server that answers; others may still remember it for less than a minute.
    #[oai(path = "/v1/token/:id", method = "delete", operation_id = "token_delete")]
    async fn delete(
        &self,
        caller: SignedIn,
        /// Identifies the token.
        id: Path<Id>,
    ) -> Result<TokenDeleted, Error> {
        self.revoke(caller.0.user_id, id.0.0).await
    }

    /// List a user's tokens
    ///
    /// For staff; the oldest first unless `sort` says otherwise, in pages, without their secrets.
    #[oai(path = "/v1/admin/user/:id/token", method = "get", operation_id = "admin_token_list")]
    async fn list_of(
        &self,
        _staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
        /// Tokens on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
        #[oai(default)]
        sort: Query<Sort>,
    ) -> Result<Json<TokenList>, Error> {
        page(&self.pool, id.0.0, Window::new(limit.0, cursor.0, sort.0)?).await
    }

    /// Revoke a user's token
    ///
    /// For staff, when a token has fallen into wrong hands; the user's other tokens and the password stay.
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
            let row = db::tokens(&mut *tx, user_id, Some(token_id), Window::all()).await?.pop();
            row.ok_or_else(|| not_found(token_id))
        };
        unless_changed(current).await?;
        let secret_hash = db::delete(&mut tx, user_id, token_id).await?.ok_or_else(|| not_found(token_id))?;
        tx.commit().await?;
        self.authenticator.forget_token(&secret_hash).await;
        Ok(TokenDeleted::Deleted)
    }
}
