//! `GET /v1/problem`: the possible errors, for programs.

use poem_openapi::{Object, OpenApi};

use crate::{
    code::Code,
    http::{Json, Tags},
};

/// A kind of problem.
#[derive(Debug, Object)]
pub struct ProblemCode {
    /// The value of a problem's `code`. Its meaning never changes.
    pub code: String,
    /// The HTTP status of the response.
    pub status: u16,
    /// The meaning of the code, for people.
    pub description: String,
}

/// All kinds of problems.
#[derive(Debug, Object)]
pub struct ProblemCodeList {
    /// The codes, sorted by status.
    pub items: Vec<ProblemCode>,
}

/// Operation that lists the problem codes.
pub struct CodeApi;

#[OpenApi(tag = "Tags::Service")]
impl CodeApi {
    /// List the codes of problems
    ///
    /// Returns every possible value of a problem's `code`. New versions of the service may add codes.
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
