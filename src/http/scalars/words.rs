//! Scalars that are one of a fixed set of words.

macro_rules! word_scalar {
    ($ty:ty, $component:literal, $description:literal, [$first:literal => $first_value:expr $(, $word:literal => $value:expr)*]) => {
        impl $crate::http::Scalar for $ty {
            fn component() -> String {
                $component.into()
            }

            fn schema() -> poem_openapi::registry::MetaSchema {
                poem_openapi::registry::MetaSchema {
                    enum_items: vec![$first.into() $(, $word.into())*],
                    example: Some($first.into()),
                    description: Some($description),
                    ..poem_openapi::registry::MetaSchema::new("string")
                }
            }

            fn parse(value: &serde_json::Value) -> Result<Self, String> {
                match value.as_str() {
                    Some($first) => Ok($first_value),
                    $(Some($word) => Ok($value),)*
                    _ => Err(concat!("must be ", $first $(, " or ", $word)*).to_owned()),
                }
            }
        }
        $crate::http::scalar!([] $ty);

        impl poem_openapi::types::ToJSON for $ty {
            fn to_json(&self) -> Option<serde_json::Value> {
                serde_json::to_value(self).ok()
            }
        }
    };
}
pub(crate) use word_scalar;
