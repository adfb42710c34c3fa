//! The parameters of a product in requests.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};
use serde_json::Value as Json;

use crate::{
    error::FieldError,
    http::{Member, safe_name, wrong},
    services::{self, Value},
};

/// Values of a product's parameters; empty if omitted, where `REQUIRED` allows that.
#[derive(Debug, Clone)]
pub(super) struct Parameters<const REQUIRED: bool = true>(pub services::Parameters);

/// The most members that a request may have: more than any product has, and short enough to be shown.
const MAX_PARAMETERS: usize = 100;
const MAX_NAME: usize = 40;
const MAX_TEXT: usize = 64;

fn schema() -> MetaSchema {
    MetaSchema {
        // Without a type: generators would make a type of its own of a value that is a number or a text.
        additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)))),
        max_properties: Some(MAX_PARAMETERS),
        example: Some(serde_json::json!({ "cores": 2, "memory_gb": 4 })),
        description: Some(
            "A value for each parameter of the product, by its name: a whole number, or a text of at most 64 characters. A \
             VPN network has network_size and wireguard_public_key.",
        ),
        ..MetaSchema::new("object")
    }
}

impl<const REQUIRED: bool> Type for Parameters<REQUIRED> {
    const IS_REQUIRED: bool = REQUIRED;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "OrderParameters".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(Self::name().into_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Parameters, _>(Self::name().into_owned(), |_| schema());
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<const REQUIRED: bool> Member for Parameters<REQUIRED> {
    fn from_value(value: Option<&Json>) -> Result<Self, Vec<FieldError>> {
        let Some(value) = value else { return Ok(Self(services::Parameters::new())) };
        let object = value.as_object().ok_or_else(|| wrong("must be an object, as in {\"cores\": 2}"))?;
        if object.len() > MAX_PARAMETERS {
            return Err(wrong(format!("must have at most {MAX_PARAMETERS} members")));
        }
        let (mut parsed, mut errors) = (services::Parameters::new(), Vec::new());
        for (name, value) in object {
            match parameter(name, value) {
                Ok(value) => drop(parsed.insert(name.clone(), value)),
                Err(message) => errors.extend(wrong(message).into_iter().map(|error| error.inside(safe_name(name)))),
            }
        }
        if errors.is_empty() { Ok(Self(parsed)) } else { Err(errors) }
    }
}

fn parameter(name: &str, value: &Json) -> Result<Value, String> {
    if name.len() > MAX_NAME {
        return Err(format!("must have a name of at most {MAX_NAME} characters"));
    }
    let is_text = |text: &str| text.chars().count() <= MAX_TEXT && !text.chars().any(char::is_control);
    let value = match value {
        Json::Number(number) => number.as_i64().map(Value::Number),
        // Accept neither a sign, nor a leading zero, nor a space, so that each number has one form.
        Json::String(text) => match text.parse::<i64>() {
            Ok(number) if number.to_string() == *text => Some(Value::Number(number)),
            _ => Some(Value::Text(text.clone())).filter(|_| is_text(text)),
        },
        _ => None,
    };
    value.ok_or_else(|| format!("must be a whole number, or one line of at most {MAX_TEXT} characters"))
}
