//! Users over HTTP; staff only.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use sqlx::PgPool;

use super::db;
use crate::{
    accounts::user::UserBody,
    error::{Error, FieldError},
    http::{Body, By, Cursor, Flag, Id, Number, Staff, Tags, UsernameText, input, named_sort},
};

input! {
    /// What to change of a user; what is left out stays.
    pub struct UserUpdate {
        /// Networks that the user may have.
        pub vpn_quota: Option<Number<0, 1_000_000>>,
        /// Shut out, with all tokens; known everywhere within a minute.
        pub locked: Option<Flag>,
        /// Staff, whatever the directory says. Who is in the directory's staff group is staff besides.
        pub staff: Option<Flag>,
    }
}

named_sort! {
    /// How users are sorted.
    UserSort, "username:asc", "username:desc"
}

/// A page of users.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct UserList {
    /// In the order asked for.
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
    /// Everybody who has ever signed in, and whoever was added by hand; the oldest first unless
    /// `sort` says otherwise, in pages.
    #[oai(path = "/", method = "get", operation_id = "admin_user_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// The one with this name.
        username: Query<Option<UsernameText>>,
        /// Only staff, or only customers.
        staff: Query<Option<Flag>>,
        /// Users on a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The page's begin: `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// In which order.
        #[oai(default)]
        sort: Query<UserSort>,
    ) -> Result<Json<UserList>, Error> {
        let filter = db::Filter {
            username: username.0.map(|name| name.0.as_str().to_owned()),
            staff: staff.0.map(|flag| flag.0),
            ..db::Filter::default()
        };
        let window = sort.0.window(limit.0, cursor.0)?;
        let users = db::users(&self.pool, &filter, &window).await?;
        let (items, next) = window.page(users, |user| user.id, |user| &user.username);
        Ok(Json(UserList { items, next }))
    }

    /// Read a user
    ///
    /// With the limits that hold for the user.
    #[oai(path = "/:id", method = "get", operation_id = "admin_user_read")]
    async fn read(
        &self,
        _staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
    ) -> Result<Json<UserBody>, Error> {
        db::user(&self.pool, id.0.0).await?.map(Json).ok_or_else(|| not_found(id.0.0))
    }

    /// Change a user
    ///
    /// What is left out stays. A quota below what the user has takes nothing away. Nobody can shut out or demote themselves,
    /// and with a token nobody at all: one that fell into wrong hands opens no other way in.
    #[oai(path = "/:id", method = "patch", operation_id = "admin_user_update")]
    async fn edit(
        &self,
        staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
        body: Body<UserUpdate>,
    ) -> Result<Json<UserBody>, Error> {
        let UserUpdate { vpn_quota, locked, staff: make_staff } = body.0;
        let flag = |flag: Option<Flag>| flag.map(|flag| flag.0);
        let change =
            db::Change { vpn_quota: vpn_quota.map(Number::get), locked: flag(locked), staff: flag(make_staff) };
        let rights = change.locked.is_some() || change.staff.is_some();
        if rights && staff.1 == By::Token {
            let detail = "a token can't lock users or say who is staff; sign in with user name and password";
            return Err(Error::Forbidden(detail.into()));
        }
        let shuts_out = [("locked", change.locked == Some(true)), ("staff", change.staff == Some(false))];
        let own = shuts_out.into_iter().filter(|(_, shuts_out)| *shuts_out && staff.0.user_id == id.0.0);
        let message = "would shut yourself out; ask a colleague";
        let errors: Vec<_> = own.map(|(field, _)| FieldError::new(field, message)).collect();
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        db::change(&self.pool, Some(staff.0.user_id), id.0.0, &change).await?;
        self.read(staff, id).await
    }
}
