//! Tokens over HTTP; everybody's own.

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
    Scope, Scopes,
    db::{self, TokenRow},
    hash, new_secret,
};
use crate::{
    accounts::Authenticator,
    error::{Code, Error},
    http::{Body, Cursor, Id, Line, Number, Password, Shown, SignedIn, Sort, Tags, Window, input, unless_changed},
    origin,
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

/// The operations.
pub struct TokenApi {
    /// Where the tokens are.
    pub pool: PgPool,
    /// Remembers them.
    pub authenticator: Arc<Authenticator>,
}

#[OpenApi(prefix_path = "/v1/token", tag = "Tags::Tokens")]
impl TokenApi {
    /// Make a token
    ///
    /// Only with the password: a token that fell into wrong hands makes no other ones.
    #[oai(path = "/", method = "post", operation_id = "token_create")]
    async fn create(&self, caller: Password, body: Body<TokenCreate>) -> Result<TokenCreated, Error> {
        let scopes = body.0.scopes;
        if scopes.has(Scope::Staff) && !caller.0.staff {
            return Err(Error::field("scopes", "can't have staff, because you are not staff"));
        }
        let secret = new_secret()?;
        let secret_hash = hash(&secret).ok_or_else(|| anyhow::anyhow!("a new secret has the wrong form"))?;
        let days = body.0.expires_in_days.map_or(DAYS, Number::get);
        let mut tx = origin::begin(&self.pool).await?;
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
    #[oai(path = "/", method = "get", operation_id = "token_list")]
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
        let window = Window::new(limit.0, cursor.0, sort.0)?;
        let rows = db::tokens(&self.pool, caller.0.user_id, None, window).await?;
        let (rows, next) = window.page(rows, |row| row.token_id);
        Ok(Json(TokenList { items: rows.into_iter().map(Into::into).collect(), next }))
    }

    /// Read a token
    ///
    /// Without its secret, which is shown only once.
    #[oai(path = "/:id", method = "get", operation_id = "token_read")]
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
    #[oai(path = "/:id", method = "delete", operation_id = "token_delete")]
    async fn delete(
        &self,
        caller: SignedIn,
        /// Identifies the token.
        id: Path<Id>,
    ) -> Result<TokenDeleted, Error> {
        let mut tx = origin::begin(&self.pool).await?;
        db::lock(&mut tx, id.0.0).await?;
        let current = async {
            let row = db::tokens(&mut *tx, caller.0.user_id, Some(id.0.0), Window::all()).await?.pop();
            row.ok_or_else(|| not_found(id.0.0))
        };
        unless_changed(current).await?;
        let secret_hash = db::delete(&mut tx, caller.0.user_id, id.0.0).await?.ok_or_else(|| not_found(id.0.0))?;
        tx.commit().await?;
        self.authenticator.forget_token(&secret_hash).await;
        Ok(TokenDeleted::Deleted)
    }
}
