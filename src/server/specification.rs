//! The framework's service of all operations, and the OpenAPI document that it generates from them.

use std::{collections::HashMap, sync::OnceLock};

use poem::{IntoEndpoint as _, endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    OpenApi, OpenApiService,
    registry::{MetaApi, Registry},
};

use super::{apis::Apis, openapi::spec, operations::Operations};

fn of<T: OpenApi>(apis: T) -> OpenApiService<T, ()> {
    OpenApiService::new(apis, "uncloud", env!("CARGO_PKG_VERSION"))
        .server("/")
        .description(include_str!("about.md").trim_ascii())
}

/// Returns the operations, which depend on the code alone. They are put together at the first call.
pub(super) fn operations() -> anyhow::Result<&'static Operations> {
    static OPERATIONS: OnceLock<Operations> = OnceLock::new();
    if let Some(operations) = OPERATIONS.get() {
        return Ok(operations);
    }
    let operations = Operations::of::<Apis>()?;
    Ok(OPERATIONS.get_or_init(|| operations))
}

/// Returns the endpoint that calls the operations.
pub(super) fn framework(apis: Apis) -> BoxEndpoint<'static> {
    of(apis).into_endpoint()
}

/// Returns the OpenAPI document as formatted text. It depends on the code alone.
pub fn document() -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&spec::corrected(&generated())?)? + "\n")
}

/// Returns the document that the framework generates from the handlers' signatures.
pub(super) fn generated() -> String {
    of(Described).spec()
}

/// The operations without the state that they need when they are called.
struct Described;

impl OpenApi for Described {
    fn meta() -> Vec<MetaApi> {
        Apis::meta()
    }

    fn register(registry: &mut Registry) {
        Apis::register(registry);
    }

    fn add_routes(self, _: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}
