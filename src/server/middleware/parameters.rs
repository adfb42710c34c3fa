//! Validation of path and query parameters before the operation starts: reports all errors at once, where the framework
//! would stop at the first, and refuses parameters that the operation does not have.

use poem::Response;
use poem_openapi::{
    error::ParseParamError,
    registry::{MetaOperationParam, MetaParamIn, MetaSchemaRef, Registry},
    types::ParseFromParameter,
};
use serde_json::Value;
use url::form_urlencoded;

use crate::{
    error::{Error, FieldError},
    http::{Cursor, Date, Flag, Id, Moment, ProductName, QueueText, TextPart, UsernameText, safe_name},
    money::{amount::Currency, country::Country, territory::Territory},
};

/// The character that a decoder substitutes for bytes that are not valid UTF-8.
const NO_TEXT: char = char::REPLACEMENT_CHARACTER;

/// A parameter of an operation.
#[derive(Debug, Clone)]
pub(in crate::server) struct Parameter {
    name: String,
    /// `query` or `path`.
    place: &'static str,
    required: bool,
    rule: Rule,
}

/// Checks a value; the error says what is wrong with it.
type Check = fn(&str) -> Result<(), String>;

#[derive(Debug, Clone)]
enum Rule {
    Integer {
        min: i64,
        max: i64,
    },
    OneOf(Vec<String>),
    /// A custom scalar, which reports its own errors.
    Scalar(Check),
    /// No rule: only the operation can check the value.
    Any,
}

fn parses<T: ParseFromParameter>(text: &str) -> Result<(), String> {
    T::parse_from_parameter(text).map(drop).map_err(poem_openapi::types::ParseError::into_message)
}

/// Returns the check of the scalar that a component of the document describes.
fn scalar(component: &str) -> Option<Check> {
    Some(match component {
        "CountryCode" => parses::<Country>,
        "CurrencyCode" => parses::<Currency>,
        "Cursor" => parses::<Cursor>,
        "Date" => parses::<Date>,
        "Id" => parses::<Id>,
        "ProductName" => parses::<ProductName>,
        "QueueName" => parses::<QueueText>,
        "TextPart" => parses::<TextPart>,
        "Username" => parses::<UsernameText>,
        "VatTerritory" => parses::<Territory>,
        _ => return None,
    })
}

impl Rule {
    fn of(registry: &Registry, schema: &MetaSchemaRef) -> Self {
        let schema = match schema {
            // What stands beside a reference makes a list of parts of it.
            MetaSchemaRef::Inline(schema) => match schema.all_of.first() {
                Some(first @ MetaSchemaRef::Reference(_)) => return Self::of(registry, first),
                _ => schema,
            },
            MetaSchemaRef::Reference(name) => match (scalar(name), registry.schemas.get(name)) {
                (Some(check), _) => return Self::Scalar(check),
                (None, Some(schema)) => schema,
                (None, None) => return Self::Any,
            },
        };
        #[expect(clippy::cast_possible_truncation, reason = "bounds of whole numbers")]
        let bound = |bound: Option<f64>, default| bound.map_or(default, |number| number as i64);
        match (schema.ty, schema.format) {
            ("boolean", _) => Self::Scalar(parses::<Flag>),
            ("string", Some("date-time")) => Self::Scalar(parses::<Moment>),
            _ if !schema.enum_items.is_empty() => {
                Self::OneOf(schema.enum_items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            ("integer", _) => {
                Self::Integer { min: bound(schema.minimum, i64::MIN), max: bound(schema.maximum, i64::MAX) }
            }
            _ => Self::Any,
        }
    }

    fn check(&self, value: &str) -> Result<(), String> {
        match self {
            Self::Integer { min, max } => {
                let number = value.parse::<i64>().ok().filter(|number| number.to_string() == value);
                let right = number.is_some_and(|number| (*min..=*max).contains(&number));
                if right { Ok(()) } else { Err(format!("must be a whole number from {min} to {max}")) }
            }
            Self::OneOf(items) if items.iter().any(|item| item == value) => Ok(()),
            Self::OneOf(items) => Err(format!("must be one of: {}", items.join(", "))),
            Self::Scalar(check) => check(value),
            Self::Any => Ok(()),
        }
    }
}

impl Parameter {
    /// Reads a parameter of a handler; `None` for those that the middleware itself handles.
    pub(in crate::server) fn of(registry: &Registry, parameter: &MetaOperationParam) -> Option<Self> {
        let place = match parameter.in_type {
            MetaParamIn::Query => "query",
            MetaParamIn::Path => "path",
            _ => return None,
        };
        let (name, required) = (parameter.name.clone(), parameter.required);
        Some(Self { name, place, required, rule: Rule::of(registry, &parameter.schema) })
    }

    #[cfg(test)]
    pub(in crate::server) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the value can be checked before the operation.
    #[cfg(test)]
    pub(in crate::server) const fn has_rule(&self) -> bool {
        !matches!(self.rule, Rule::Any)
    }

    fn is_query(&self) -> bool {
        self.place == "query"
    }

    fn error(&self, message: impl Into<String>) -> FieldError {
        FieldError::of(self.place, &self.name, message)
    }

    fn check(&self, value: &str) -> Option<FieldError> {
        if value.contains(NO_TEXT) {
            return Some(self.error("must be UTF-8"));
        }
        self.rule.check(value).err().map(|message| self.error(message))
    }
}

/// Refuses parameters that the operation does not accept. `in_path` are the path's values by name.
pub(in crate::server) fn check<'a>(
    parameters: &[Parameter],
    query: &str,
    in_path: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), Error> {
    let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let known: Vec<&Parameter> = parameters.iter().filter(|known| known.is_query()).collect();
    let mut errors = Vec::new();
    for (name, _) in query.iter().filter(|(name, _)| !known.iter().any(|known| known.name == **name)) {
        let names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let message = format!("is unknown; allowed: {names}");
        errors.push(FieldError::of("query", safe_name(name), message));
    }
    for parameter in known {
        let mut values = query.iter().filter(|(name, _)| *name == parameter.name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (None, _) if parameter.required => errors.push(parameter.error("is missing")),
            (None, _) => {}
            (Some(value), None) => errors.extend(parameter.check(value)),
            (Some(_), Some(_)) => errors.push(parameter.error("must occur only once")),
        }
    }
    // The operation itself decodes percent-encoded values.
    for (name, value) in in_path.filter(|(_, value)| !value.contains('%')) {
        let parameter = parameters.iter().find(|known| !known.is_query() && known.name == name);
        errors.extend(parameter.and_then(|parameter| parameter.check(value)));
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Parameters(errors)) }
}

/// Converts an operation's error to a response, and rewords the framework's error about a parameter. Only a
/// percent-encoded parameter of the path can cause one, because all others have been checked.
pub(in crate::server) fn named(error: poem::Error) -> Response {
    match error.downcast_ref::<ParseParamError>() {
        Some(ParseParamError { name, reason }) => {
            let error = Error::Parameters(vec![FieldError::of("path", name, reason.as_str())]);
            poem::Error::from(error).into_response()
        }
        None => error.into_response(),
    }
}
