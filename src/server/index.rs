//! `GET /api/`: the operations that the caller may use, with links.

use poem::Request;
use poem_openapi::{Object, OpenApi};

use super::{
    middleware::auth,
    operations::{Operation, Operations},
};
use crate::http::{Json, Tags, caller::Caller};

/// An operation of the API.
#[derive(Debug, Object)]
pub struct Endpoint {
    /// HTTP method.
    pub method: String,
    /// Path of the operation; the parts in braces are parameters.
    pub href: String,
    /// Summary of the operation.
    pub summary: String,
    /// Name of the operation in generated clients.
    pub operation_id: String,
}

/// Entry point of the API.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Index {
    /// Name of the authenticated user; absent for anonymous callers.
    pub username: Option<String>,
    /// Operations that the caller may use.
    pub endpoints: Vec<Endpoint>,
    /// Path of the OpenAPI document.
    pub openapi: String,
    /// Path of the documentation page for people.
    pub docs: String,
}

/// Operation that returns the index.
pub struct IndexApi {
    /// All operations.
    pub(super) operations: &'static Operations,
}

#[OpenApi(tag = "Tags::Service")]
impl IndexApi {
    /// List the operations that the caller may use
    ///
    /// Anonymous callers get the public operations, customers get theirs, staff get all; with a token, only those that
    /// its scopes allow.
    #[expect(clippy::unused_async, reason = "the framework's signature")]
    #[oai(path = "/api", method = "get", operation_id = "api_index")]
    async fn index(&self, request: &Request) -> Json<Index> {
        let caller = request.data::<Caller>();
        let user = caller.map(|caller| &caller.user);
        let may_use = |operation: &&Operation| auth::authorize(operation, caller).is_ok();
        let endpoints = self.operations.iter().filter(may_use).map(|operation| Endpoint {
            method: operation.method.to_string(),
            href: operation.path.clone(),
            summary: operation.summary.to_owned(),
            operation_id: operation.rules.id.to_owned(),
        });
        Json(Index {
            username: user.map(|user| user.username.clone()),
            endpoints: endpoints.collect(),
            openapi: "/openapi.json".to_owned(),
            docs: "/docs".to_owned(),
        })
    }
}
