//! A product's parameters in requests.

use std::collections::BTreeMap;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use serde_json::Value as Json;

use crate::{
    http::{Scalar, scalar},
    orders::quote::Value,
};

/// Values of a product's parameters.
#[derive(Debug, Clone)]
pub(super) struct Parameters(pub BTreeMap<String, Value>);

/// More than any product has, and short enough to be shown.
const MAX_PARAMETERS: usize = 100;
const MAX_NAME: usize = 40;
const MAX_TEXT: usize = 64;

impl Scalar for Parameters {
    fn component() -> String {
        "OrderParameters".into()
    }

    fn schema() -> MetaSchema {
        let one = MetaSchema {
            any_of: vec![
                MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("integer", "int64"))),
                MetaSchemaRef::Inline(Box::new(MetaSchema { max_length: Some(MAX_TEXT), ..MetaSchema::new("string") })),
            ],
            ..MetaSchema::ANY
        };
        MetaSchema {
            additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(one)))),
            example: Some(serde_json::json!({ "cores": 2, "memory_gb": 4 })),
            description: Some(
                "A value for each parameter of the product, by its name: a whole number, also written as a string. A VPN \
                 network has network_size and wireguard_public_key.",
            ),
            ..MetaSchema::new("object")
        }
    }

    fn parse(value: &Json) -> Result<Self, String> {
        let object = value.as_object().ok_or("must be an object, as in {\"cores\": 2}")?;
        if object.len() > MAX_PARAMETERS || object.keys().any(|name| name.len() > MAX_NAME) {
            return Err(format!(
                "must have at most {MAX_PARAMETERS} members with names of at most {MAX_NAME} characters"
            ));
        }
        let parsed = object.iter().map(|(name, value)| {
            let value = parameter(value).ok_or_else(|| {
                format!("has a {name} that is neither a whole number nor a text of at most {MAX_TEXT} characters")
            })?;
            Ok((name.clone(), value))
        });
        parsed.collect::<Result<_, String>>().map(Self)
    }
}
scalar!([] Parameters);

fn parameter(value: &Json) -> Option<Value> {
    match value {
        Json::Number(number) => number.as_i64().map(Value::Number),
        // Without sign, leading zero or space: one way to write a number.
        Json::String(text) => match text.parse::<i64>() {
            Ok(number) if number.to_string() == *text => Some(Value::Number(number)),
            _ => Some(Value::Text(text.clone())).filter(|_| text.len() <= MAX_TEXT),
        },
        _ => None,
    }
}
