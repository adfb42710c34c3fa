//! Scalars of requests: each is parsed strictly and describes its accepted form in the document.

mod filter;
mod moment;
mod money;
mod number;
mod password;
mod text;
mod username;
mod words;

pub use filter::{Flag, QueueText, TextPart};
pub use moment::Moment;
pub use money::{Date, TimeZone};
pub use number::{Id, Number};
pub use password::PasswordText;
pub use text::{Line, Lines, ParameterName, ProductName};
pub use username::UsernameText;
pub(crate) use words::word_scalar;

use std::{fmt::Display, str::FromStr};

use poem_openapi::registry::MetaSchema;
use serde_json::Value;

/// A custom scalar's description and parser; the macro below makes it one of the framework's types.
pub(crate) trait Scalar: Sized {
    /// True if the document repeats its schema in place: a component would give generated clients a separate type for a
    /// plain number, boolean, text or time.
    const IS_INLINE: bool = false;

    /// Returns its name, which is also its component in the document unless it is inline.
    fn component() -> String;
    /// Returns its schema.
    fn schema() -> MetaSchema;
    /// Parses the value from the request.
    fn parse(value: &Value) -> Result<Self, String>;
}

macro_rules! scalar {
    ([$($generics:tt)*] $ty:ty) => {
        impl<$($generics)*> poem_openapi::types::Type for $ty {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                <Self as $crate::http::Scalar>::component().into()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                if <Self as $crate::http::Scalar>::IS_INLINE {
                    poem_openapi::registry::MetaSchemaRef::Inline(Box::new(<Self as $crate::http::Scalar>::schema()))
                } else {
                    poem_openapi::registry::MetaSchemaRef::Reference(<Self as $crate::http::Scalar>::component())
                }
            }

            fn register(registry: &mut poem_openapi::registry::Registry) {
                if !<Self as $crate::http::Scalar>::IS_INLINE {
                    registry.create_schema::<Self, _>(<Self as $crate::http::Scalar>::component(), |_| <Self as $crate::http::Scalar>::schema());
                }
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl<$($generics)*> poem_openapi::types::ParseFromJSON for $ty {
            fn parse_from_json(value: Option<serde_json::Value>) -> poem_openapi::types::ParseResult<Self> {
                <Self as $crate::http::Scalar>::parse(&value.unwrap_or_default()).map_err(poem_openapi::types::ParseError::custom)
            }
        }
    };
}

pub(crate) fn string_schema(
    format: &'static str,
    pattern: &str,
    example: &str,
    description: &'static str,
) -> MetaSchema {
    MetaSchema {
        pattern: Some(pattern.to_owned()),
        example: Some(example.into()),
        description: Some(description),
        ..MetaSchema::new_with_format("string", format)
    }
}

pub(crate) use scalar;

pub(crate) fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "must be a string".to_owned())
}

pub(crate) fn parse_text<T: FromStr>(value: &Value) -> Result<T, String>
where
    T::Err: Display,
{
    text(value)?.parse().map_err(|error: T::Err| error.to_string())
}
