//! Users over HTTP; staff only.

use chrono::{DateTime, Utc};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use sqlx::PgPool;

use super::db;
use crate::{
    error::Error,
    http::{Body, Cursor, Id, Number, Staff, Tags, Window, input, page},
};

input! {
    /// What to change of a user; what is left out stays.
    pub struct UserEdit {
        /// Networks that the user may have.
        pub vpn_quota: Option<Number<0, 1_000_000>>,
    }
}

/// A user with the limits that staff set.
#[derive(Debug, Object)]
#[oai(rename = "User")]
pub(super) struct UserBody {
    /// Identifies the user.
    pub(super) id: i64,
    /// Lower case.
    pub(super) username: String,
    /// May do everything; limits do not count for staff.
    pub(super) staff: bool,
    /// Networks that the user may have.
    pub(super) vpn_quota: i32,
    /// When the user was first seen.
    pub(super) created_at: DateTime<Utc>,
}

/// A page of users.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct UserList {
    /// By id.
    items: Vec<UserBody>,
    /// Cursor of the next page; absent on the last.
    next: Option<String>,
}

fn not_found(id: i64) -> Error {
    Error::NotFound(format!("there is no user {id}").into())
}

/// The operations.
pub struct UserApi {
    /// Where the users are.
    pub pool: PgPool,
}

#[OpenApi(prefix_path = "/v1/admin/user", tag = "Tags::Users")]
impl UserApi {
    /// List users
    ///
    /// Everybody who has ever signed in, and whoever was added by hand; the oldest first, in pages.
    #[oai(path = "/", method = "get", operation_id = "user_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Users on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Json<UserList>, Error> {
        let window = Window::new(limit.0, cursor.0);
        let (items, next) = page(db::users(&self.pool, None, window).await?, window, |user| user.id);
        Ok(Json(UserList { items, next }))
    }

    /// Read a user
    ///
    /// With the limits that hold for the user.
    #[oai(path = "/:id", method = "get", operation_id = "user_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
    ) -> Result<Json<UserBody>, Error> {
        let user = db::users(&self.pool, Some(id.0.0), Window::all()).await?.pop();
        Ok(Json(user.ok_or_else(|| not_found(id.0.0))?))
    }

    /// Change a user's limits
    ///
    /// What is left out stays. Less than what the user has takes nothing away.
    #[oai(path = "/:id", method = "patch", operation_id = "user_edit")]
    async fn edit(
        &self,
        staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
        body: Body<UserEdit>,
    ) -> Result<Json<UserBody>, Error> {
        db::set_limits(&self.pool, id.0.0, body.0.vpn_quota.map(Number::get)).await?;
        self.read(staff, id).await
    }
}
