//! The API's operations on users, for staff only.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use super::db;
use crate::{
    accounts::user::UserBody,
    database::Database,
    error::{Error, FieldError},
    http::{AuthMethod, Body, Cursor, Flag, Id, Json, Number, Staff, Tags, UsernameText, input, named_sort},
};

input! {
    /// An update of a user; omitted members do not change.
    pub struct UserUpdate {
        /// The number of networks that the user may have.
        pub vpn_quota: Option<Number<0, 1_000_000>>,
        /// The days in which the customer is to pay a bill; until they are set, the seller's terms apply.
        pub payment_days: Option<Number<0, 365>>,
        /// True to lock out the user with all tokens; every server knows within a minute.
        pub locked: Option<Flag>,
        /// True to make the user staff, regardless of the directory. Members of the directory's staff group are staff
        /// as well.
        pub staff: Option<Flag>,
    }
}

named_sort! {
    /// The sort order of users.
    UserSort, "username:asc", "username:desc"
}

/// A page of users.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct UserList {
    /// The users, in the requested sort order.
    items: Vec<UserBody>,
    /// The cursor of the next page; absent on the last page.
    next: Option<String>,
}

fn not_found(id: i64) -> Error {
    Error::NotFound(format!("user {id} not found").into())
}

/// The operations on users.
pub struct UserApi {
    /// The database with the users.
    pub pool: Database,
}

#[OpenApi(prefix_path = "/v1/admin/user", tag = "Tags::Users")]
impl UserApi {
    /// List users
    ///
    /// Lists all users who have ever signed in or were added manually, in pages, the oldest first unless `sort`
    /// requests another order.
    #[oai(path = "/", method = "get", operation_id = "admin_user_list")]
    async fn list(
        &self,
        _staff: Staff,
        /// Returns only the user with this name.
        username: Query<Option<UsernameText>>,
        /// Returns only staff (true), or only customers (false).
        staff: Query<Option<Flag>>,
        /// Maximum number of items on the page.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")), default = "crate::http::page_size")]
        limit: Query<u8>,
        /// The cursor: `next` of the previous page.
        cursor: Query<Option<Cursor>>,
        /// The sort order.
        #[oai(default)]
        sort: Query<UserSort>,
    ) -> Result<Json<UserList>, Error> {
        let filter = db::Filter {
            username: username.0.map(|name| name.0.as_str().to_owned()),
            staff: staff.0.map(|flag| flag.0),
        };
        let window = sort.0.window(limit.0, cursor.0)?;
        let users = db::users(&self.pool, &filter, &window).await?;
        let (items, next) = window.page(users, |user| user.id, |user| &user.username);
        Ok(Json(UserList { items, next }))
    }

    /// Read a user
    ///
    /// Returns the user with the limits that apply.
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
    /// Omitted members do not change. A quota below the user's present number of networks removes none. Users can't
    /// lock or demote themselves, and a token can't lock or demote any user, so that a stolen token gives no other
    /// access.
    #[oai(path = "/:id", method = "patch", operation_id = "admin_user_update")]
    async fn update(
        &self,
        staff: Staff,
        /// Identifies the user.
        id: Path<Id>,
        body: Body<UserUpdate>,
    ) -> Result<Json<UserBody>, Error> {
        let UserUpdate { vpn_quota, payment_days, locked, staff: make_staff } = body.0;
        let flag = |flag: Option<Flag>| flag.map(|flag| flag.0);
        let change = db::Change {
            vpn_quota: vpn_quota.map(Number::get),
            payment_days: payment_days.map(Number::get),
            locked: flag(locked),
            staff: flag(make_staff),
        };
        let rights = change.locked.is_some() || change.staff.is_some();
        if rights && staff.1 == AuthMethod::Token {
            let detail = "a token can't lock users or change staff; sign in with user name and password";
            return Err(Error::Forbidden(detail.into()));
        }
        let shuts_out = [("locked", change.locked == Some(true)), ("staff", change.staff == Some(false))];
        let own = shuts_out.into_iter().filter(|(_, shuts_out)| *shuts_out && staff.0.user_id == id.0.0);
        let message = "would lock yourself out; have a colleague do it";
        let errors: Vec<_> = own.map(|(field, _)| FieldError::new(field, message)).collect();
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        db::change(&self.pool, Some(staff.0.user_id), id.0.0, &change).await?;
        self.read(staff, id).await
    }
}
