//! JSON responses.

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse,
    payload::Payload,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::{ToJSON, Type},
};
use serde_json::Value;

/// A JSON response. The value stays attached to it, so that what computes ETags and links need not parse the body again.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// The value of a JSON response, attached to it.
#[derive(Debug, Clone)]
pub(crate) struct JsonValue(pub Value);

impl<T: Type> Payload for Json<T> {
    const CONTENT_TYPE: &'static str = "application/json; charset=utf-8";

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ToJSON> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let value = self.0.to_json().unwrap_or_default();
        let Ok(body) = serde_json::to_vec(&value) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
        let mut response = Response::builder().content_type(Self::CONTENT_TYPE).body(body);
        response.set_data(JsonValue(value));
        response
    }
}

impl<T: ToJSON> ApiResponse for Json<T> {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: Self::CONTENT_TYPE, schema: Self::schema_ref() }];
        let response =
            MetaResponse { description: "", status: Some(200), status_range: None, content, headers: Vec::new() };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
