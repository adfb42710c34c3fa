//! JSON bodies, refused with all errors at once. The framework would stop at the first field.

mod json;
mod rules;

use std::borrow::Cow;

use poem::{Request, RequestBody};
use poem_openapi::{
    impl_apirequest_for_payload,
    payload::{ParsePayload, Payload},
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseFromJSON, Type},
};
use serde_json::{Map, Value};

pub(crate) use self::rules::{BodyDeadline, BodyRules, unread};
use crate::error::{Error, FieldError};

/// An object in a request, declared with [`input!`].
pub(crate) trait Input: Type + Sized {
    /// Returns the parsed object, or all errors in it.
    fn parse(object: &Map<String, Value>) -> Result<Self, Vec<FieldError>>;
}

/// Declares an object of a request. The framework's own derive would stop at the first invalid member.
macro_rules! input {
    ($(#[doc = $doc:literal])* pub struct $name:ident { $($(#[doc = $field_doc:literal])* pub $field:ident: $ty:ty,)* }) => {
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub struct $name { $($(#[doc = $field_doc])* pub $field: $ty,)* }

        impl poem_openapi::types::Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                poem_openapi::registry::MetaSchemaRef::Reference(stringify!($name).into())
            }

            fn register(registry: &mut poem_openapi::registry::Registry) {
                $(<$ty as poem_openapi::types::Type>::register(registry);)*
                registry.create_schema::<Self, _>(stringify!($name).into(), |_| {
                    let mut schema = poem_openapi::registry::MetaSchema::new("object");
                    schema.description = Some(concat!($($doc),*).trim_ascii());
                    $(
                        if <$ty as poem_openapi::types::Type>::IS_REQUIRED {
                            schema.required.push(stringify!($field));
                        }
                        let about = poem_openapi::registry::MetaSchema {
                            description: Some(concat!($($field_doc),*).trim_ascii()),
                            ..poem_openapi::registry::MetaSchema::ANY
                        };
                        let member = <$ty as poem_openapi::types::Type>::schema_ref().merge(about);
                        schema.properties.push((stringify!($field), member));
                    )*
                    schema
                });
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl $crate::http::Input for $name {
            fn parse(
                object: &serde_json::Map<String, serde_json::Value>,
            ) -> Result<Self, Vec<$crate::error::FieldError>> {
                let mut errors = $crate::http::unknown_members(object, &[$(stringify!($field)),*]);
                $(let $field = $crate::http::member::<$ty>(object, stringify!($field), &mut errors);)*
                match ($($field,)*) {
                    ($(Some($field),)*) if errors.is_empty() => Ok(Self { $($field),* }),
                    _ => Err(errors),
                }
            }
        }
    };
}
pub(crate) use input;

/// A member of an object in a request: a scalar, or a list of objects.
pub(crate) trait Member: Type + Sized {
    /// Parses the member's value, or returns all errors in it.
    fn from_value(value: Option<&Value>) -> Result<Self, Vec<FieldError>>;
}

/// Returns a single error about a member; the caller adds its path.
pub(crate) fn wrong(message: impl Into<String>) -> Vec<FieldError> {
    vec![FieldError { place: "body", pointer: String::new(), message: message.into() }]
}

/// Removes the framework's type names from an error, which callers do not know.
pub(crate) fn plain(message: &str) -> String {
    let (mut text, mut rest) = (String::new(), message);
    while let Some((before, after)) = rest.split_once("failed to parse \"") {
        text.push_str(before);
        rest = after.split_once("\": ").map_or(after, |(_, reason)| reason);
    }
    text.push_str(rest.split(" (occurred while parsing \"").next().unwrap_or_default());
    text
}

impl<T: ParseFromJSON> Member for T {
    fn from_value(value: Option<&Value>) -> Result<Self, Vec<FieldError>> {
        T::parse_from_json(value.cloned()).map_err(|error| wrong(plain(&error.into_message())))
    }
}

/// A list of objects in a request; empty when it is omitted. Errors name the item by its index.
#[derive(Debug)]
pub struct Items<T>(pub Vec<T>);

/// Maximum length of any list in a request.
const MAX_ITEMS: usize = 100;

impl<T: Input> Member for Items<T> {
    fn from_value(value: Option<&Value>) -> Result<Self, Vec<FieldError>> {
        let Some(value) = value else { return Ok(Self(Vec::new())) };
        let items = value.as_array().filter(|items| items.len() <= MAX_ITEMS);
        let items = items.ok_or_else(|| wrong(format!("must be a list of at most {MAX_ITEMS} objects")))?;
        let (mut parsed, mut errors) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            let item = item.as_object().ok_or_else(|| wrong("must be an object")).and_then(T::parse);
            match item {
                Ok(item) => parsed.push(item),
                Err(wrong) => errors.extend(wrong.into_iter().map(|error| error.inside(&index.to_string()))),
            }
        }
        if errors.is_empty() { Ok(Self(parsed)) } else { Err(errors) }
    }
}

impl<T: Type> Type for Items<T> {
    const IS_REQUIRED: bool = false;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        format!("list_{}", T::name()).into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let items = Some(Box::new(T::schema_ref()));
        MetaSchemaRef::Inline(Box::new(MetaSchema { items, max_items: Some(MAX_ITEMS), ..MetaSchema::new("array") }))
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

/// Parses one member; returns `None` and adds errors if it is invalid.
pub(crate) fn member<T: Member>(object: &Map<String, Value>, name: &str, errors: &mut Vec<FieldError>) -> Option<T> {
    let value = object.get(name);
    let member = match value {
        None if T::IS_REQUIRED => Err(wrong("is missing")),
        Some(Value::Null) => Err(wrong("must not be null; omit it instead")),
        value => T::from_value(value),
    };
    member.map_err(|wrong| errors.extend(wrong.into_iter().map(|error| error.inside(name)))).ok()
}

/// Returns an error for each member that the object does not have.
pub(crate) fn unknown_members(object: &Map<String, Value>, known: &[&str]) -> Vec<FieldError> {
    let unknown = object.keys().filter(|name| !known.contains(&name.as_str()));
    unknown.map(|name| FieldError::new(safe_name(name), format!("is unknown; allowed: {}", known.join(", ")))).collect()
}

/// Returns a member's name in a form that is safe to repeat in a response. A caller that forgets the name may send the
/// value in its place, which may be a private key (44 characters) or a password.
pub(crate) fn safe_name(name: &str) -> &str {
    let is_name = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_name { name } else { "..." }
}

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    /// The operation's rules have checked it.
    fn check_content_type(_: &str) -> bool {
        true
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Input> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(_: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = body.take()?.into_bytes().await.map_err(unread)?;
        let value = json::parse(&bytes)
            .map_err(|error| Error::Malformed(format!("the body is not valid JSON: {error}").into()))?;
        let Value::Object(object) = &value else {
            return Err(Error::Malformed("the body must be a JSON object".into()).into());
        };
        Ok(Self(T::parse(object).map_err(Error::Invalid)?))
    }
}

impl_apirequest_for_payload!(Body<T>, T: Input);

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn framework_messages_are_returned_without_type_names() {
        for (message, expected) in [
            (
                "failed to parse \"Id\": must be a whole number (occurred while parsing \"optional_Id\")",
                "must be a whole number",
            ),
            (
                "failed to parse path `id`: failed to parse \"Id\": must be one",
                "failed to parse path `id`: must be one",
            ),
            ("the body is not valid JSON", "the body is not valid JSON"),
        ] {
            assert_eq!(plain(message), expected);
        }
    }
}
