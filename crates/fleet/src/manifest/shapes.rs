//! Shapes that several keys have: a value with its place, and a short form beside a mapping.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{
        IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use super::node::Place;

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed<T> {
    pub(super) place: Place,
    pub(super) value: T,
}

/// Either a short form, a text, number, boolean or list, or a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Short<S, L> {
    Short(S),
    Long(L),
}

/// Under this name the reader gives a value with its place.
pub(super) const PLACED: &str = "$masque::manifest::Placed";
/// What it gives then, in this order.
pub(super) const PLACED_FIELDS: &[&str] = &["file", "line", "column", "value"];

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlacedVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for PlacedVisitor<T> {
            type Value = Placed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of a manifest")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Placed<T>, A::Error> {
                let absent = || serde::de::Error::custom("a place is missing");
                let (_, file): (String, String) = map.next_entry()?.ok_or_else(absent)?;
                let (_, line): (String, u32) = map.next_entry()?.ok_or_else(absent)?;
                let (_, column): (String, u32) = map.next_entry()?.ok_or_else(absent)?;
                let (_, value): (String, T) = map.next_entry()?.ok_or_else(absent)?;
                Ok(Placed { place: Place { file: Some(file.into()), at: masque_tree::Place { line, column } }, value })
            }
        }

        deserializer.deserialize_struct(PLACED, PLACED_FIELDS, PlacedVisitor(PhantomData))
    }
}

impl<'de, S: Deserialize<'de>, L: Deserialize<'de>> Deserialize<'de> for Short<S, L> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShortVisitor<S, L>(PhantomData<(S, L)>);

        impl<'de, S: Deserialize<'de>, L: Deserialize<'de>> Visitor<'de> for ShortVisitor<S, L> {
            type Value = Short<S, L>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a mapping")
            }

            fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
                S::deserialize(value.into_deserializer()).map(Short::Short)
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
                S::deserialize(value.into_deserializer()).map(Short::Short)
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
                S::deserialize(value.into_deserializer()).map(Short::Short)
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
                S::deserialize(value.into_deserializer()).map(Short::Short)
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
                S::deserialize(value.into_deserializer()).map(Short::Short)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                S::deserialize(SeqAccessDeserializer::new(items)).map(Short::Short)
            }

            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
                L::deserialize(MapAccessDeserializer::new(entries)).map(Short::Long)
            }
        }

        deserializer.deserialize_any(ShortVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<S: JsonSchema, L: JsonSchema> JsonSchema for Short<S, L> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Or{}", S::schema_name(), L::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "anyOf": [generator.subschema_for::<S>(), generator.subschema_for::<L>()] })
    }
}
