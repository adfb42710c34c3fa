//! A response that is a file, in one of two formats, streamed while it is read.

use futures_util::TryStreamExt as _;
use poem::{Body, IntoResponse, Response, http::header};
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

use crate::{billing::export::Format, error::Error};

/// The exported bills.
pub(super) struct BillFile {
    pub(super) format: Format,
    pub(super) body: Body,
    /// The file's name without its extension.
    pub(super) name: String,
}

impl BillFile {
    /// Streams the file. When the database fails, the stream ends early, and HTTP marks the response as incomplete.
    pub(super) fn stream(stream: impl futures_util::Stream<Item = Result<Vec<u8>, Error>> + Send + 'static) -> Body {
        Body::from_bytes_stream(stream.map_err(|error| {
            tracing::error!(%error, "an export was interrupted");
            std::io::Error::other("the export was interrupted")
        }))
    }
}

impl IntoResponse for BillFile {
    fn into_response(self) -> Response {
        let (media_type, extension) = match self.format {
            Format::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
            Format::Json => ("application/json", "json"),
        };
        let disposition = format!("attachment; filename=\"{}.{extension}\"", self.name);
        Response::builder()
            .header(header::CONTENT_TYPE, media_type)
            .header(header::CONTENT_DISPOSITION, disposition)
            .body(self.body)
    }
}

impl ApiResponse for BillFile {
    fn meta() -> MetaResponses {
        let content = |content_type, schema| MetaMediaType { content_type, schema: inline(schema) };
        let object =
            MetaSchema { additional_properties: Some(Box::new(inline(MetaSchema::ANY))), ..MetaSchema::new("object") };
        let array = MetaSchema { items: Some(Box::new(inline(object))), ..MetaSchema::new("array") };
        let disposition = MetaHeader {
            name: "Content-Disposition".into(),
            description: Some("A name for the file.".into()),
            required: true,
            deprecated: false,
            schema: inline(MetaSchema::new("string")),
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The file, in the requested format",
                status: Some(200),
                status_range: None,
                content: vec![content("text/csv", MetaSchema::new("string")), content("application/json", array)],
                headers: vec![disposition],
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

fn inline(schema: MetaSchema) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(schema))
}
