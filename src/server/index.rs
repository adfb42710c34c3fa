//! `GET /api/`: what the caller may use, with links.

use std::sync::{Arc, OnceLock};

use poem::Request;
use poem_openapi::{Object, OpenApi, payload::Json};

use super::{middleware::auth, openapi::operation::Operation};
use crate::http::{Tags, caller::Caller};

/// What can be asked for.
#[derive(Debug, Object)]
pub struct Endpoint {
    /// HTTP method.
    pub method: String,
    /// Address; parts in braces are to be filled in.
    pub href: String,
    /// What it does.
    pub summary: String,
    /// Its name in generated clients.
    pub operation_id: String,
}

/// The start.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Index {
    /// Who is asking; absent for anonymous callers.
    pub username: Option<String>,
    /// What the caller may use.
    pub endpoints: Vec<Endpoint>,
    /// The OpenAPI document.
    pub openapi: String,
    /// The same for people.
    pub docs: String,
}

/// The operation. The list is made from the document, which is complete only after this is part of it.
pub struct IndexApi {
    /// All operations.
    pub(super) operations: Arc<OnceLock<Vec<Operation>>>,
}

#[OpenApi(tag = "Tags::Service")]
impl IndexApi {
    /// List what the caller may use
    ///
    /// Anonymous callers see the public operations, customers theirs, staff all; who has a token, what it is good for.
    #[expect(clippy::unused_async, reason = "the framework's signature")]
    #[oai(path = "/api", method = "get", operation_id = "api_index")]
    async fn index(&self, request: &Request) -> Json<Index> {
        let caller = request.data::<Caller>();
        let user = caller.map(|caller| &caller.user);
        let may_use = |operation: &&Operation| auth::authorize(operation, caller).is_ok();
        let operations = self.operations.get().map(Vec::as_slice).unwrap_or_default();
        let endpoints = operations.iter().filter(may_use).map(|operation| Endpoint {
            method: operation.method.to_string(),
            href: operation.path.clone(),
            summary: operation.summary.clone(),
            operation_id: operation.id.clone(),
        });
        Json(Index {
            username: user.map(|user| user.username.clone()),
            endpoints: endpoints.collect(),
            openapi: "/openapi.json".to_owned(),
            docs: "/docs".to_owned(),
        })
    }
}
