//! `GET /v1/problem`: what can go wrong, for programs.

use poem_openapi::{Object, OpenApi, payload::Json};

use crate::{code::Code, http::Tags};

/// A kind of problem.
#[derive(Debug, Object)]
pub struct ProblemCode {
    /// What `code` of a problem says. Its meaning never changes.
    pub code: String,
    /// The HTTP status that it comes with.
    pub status: u16,
    /// What it means, for people.
    pub description: String,
}

/// All kinds of problems.
#[derive(Debug, Object)]
pub struct ProblemCodeList {
    /// By status.
    pub items: Vec<ProblemCode>,
}

/// The operation.
pub struct CodeApi;

#[OpenApi(tag = "Tags::Service")]
impl CodeApi {
    /// List the codes of problems
    ///
    /// All that `code` of a problem can be. New versions of the service may add to the list.
    #[expect(clippy::unused_async, reason = "the framework's signature")]
    #[oai(path = "/v1/problem", method = "get", operation_id = "problem_list")]
    async fn list(&self) -> Json<ProblemCodeList> {
        let items = Code::ALL.iter().map(|code| ProblemCode {
            code: code.name().to_owned(),
            status: code.status(),
            description: code.about().to_owned(),
        });
        Json(ProblemCodeList { items: items.collect() })
    }
}
