//! The specification of the API: the OpenAPI document, the page that shows it and the list of its operations.

use std::sync::{Arc, OnceLock};

use sqlx::PgPool;

use super::{
    apis::apis,
    app::App,
    middleware::RateLimits,
    openapi::{
        operation::{self, Operation},
        spec,
    },
};
use crate::{
    accounts::{AccountSettings, Authenticator},
    seal::Sealer,
};

/// The OpenAPI document and what is derived from it. It depends on the code alone.
pub(super) struct Specification {
    pub document: serde_json::Value,
    /// The documentation page for people.
    pub docs: String,
    pub operations: Arc<[Operation]>,
}

impl Specification {
    /// Returns the specification. It is generated at the first call.
    pub fn get() -> anyhow::Result<&'static Self> {
        static GENERATED: OnceLock<Specification> = OnceLock::new();
        if let Some(specification) = GENERATED.get() {
            return Ok(specification);
        }
        let specification = Self::generate()?;
        Ok(GENERATED.get_or_init(|| specification))
    }

    fn generate() -> anyhow::Result<Self> {
        let apis = apis(&unconnected_app()?, Arc::default());
        let generated = apis.spec();
        let document = spec::corrected(&generated)?;
        Ok(Self {
            docs: apis.swagger_ui_html().replace(&generated, &document.to_string()),
            operations: operation::operations(&document).into(),
            document,
        })
    }
}

/// Returns the OpenAPI document as formatted text.
pub fn document() -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&Specification::get()?.document)? + "\n")
}

/// Returns the state of operations that are described and never called.
fn unconnected_app() -> anyhow::Result<App> {
    let pool = PgPool::connect_lazy("postgres://never.connected")?;
    Ok(App {
        redis: redis::Client::open("redis://never.connected")?,
        sealer: Arc::new(Sealer::new(&"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned().into())?),
        wake: Arc::default(),
        metrics: Arc::default(),
        authenticator: Arc::new(
            Authenticator::new(pool.clone(), AccountSettings::default()).map_err(crate::error::Error::from)?,
        ),
        proxies: Arc::default(),
        origins: Vec::new(),
        rates: RateLimits::NONE,
        pool,
    })
}
