//! A serde deserialiser over [`Node`] whose errors know their place.

use serde::{
    Deserializer,
    de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

use super::{
    node::{Content, Entry, Node, kind},
    shapes::{PLACED, PLACED_FIELDS},
    typed::{Fault, Message, Step},
};

/// The deserialiser of a node.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a Node);

impl<'de> Reader<'de> {
    fn any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.content {
            Content::Null => visitor.visit_unit(),
            Content::Bool(value) => visitor.visit_bool(*value),
            Content::Number(number, _) => match (number.as_u64(), number.as_i64()) {
                (Some(whole), _) => visitor.visit_u64(whole),
                (None, Some(whole)) => visitor.visit_i64(whole),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            },
            Content::Text(text) => visitor.visit_borrowed_str(text),
            Content::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Content::Map(entries) => visitor.visit_map(Entries { entries, next: 0 }),
        }
    }

    /// A number that came out of a variable, or was put into quotes, is still a number.
    fn number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Content::Text(text) = &self.0.content else { return self.any(visitor) };
        match (text.trim().parse::<u64>(), text.trim().parse::<i64>(), text.trim().parse::<f64>()) {
            (Ok(whole), ..) => visitor.visit_u64(whole),
            (_, Ok(whole), _) => visitor.visit_i64(whole),
            (_, _, Ok(number)) if number.is_finite() => visitor.visit_f64(number),
            _ => self.any(visitor),
        }
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.number(visitor).map_err(|fault| fault.at(&self.0.place))
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.any(visitor).map_err(|fault| fault.at(&self.0.place))
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_f32 deserialize_f64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.as_text() {
            Some("true") => visitor.visit_bool(true),
            Some("false") => visitor.visit_bool(false),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.written() {
            Some(text) => visitor.visit_string(text).map_err(|fault: Fault| fault.at(&self.0.place)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.content {
            Content::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self).map_err(|fault| fault.at(&self.0.place))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == PLACED {
            return visitor.visit_map(PlacedAccess { node: self.0, next: 0 });
        }
        // A list would be taken for the fields in their order.
        match self.0.content {
            Content::List(_) => {
                Err(Fault::new(Message::Wrong { found: "a list".to_owned(), expected: "a mapping".to_owned() })
                    .at(&self.0.place))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0.as_text() {
            Some(text) => visitor.visit_enum(text.into_deserializer()).map_err(|fault: Fault| fault.at(&self.0.place)),
            None => Err(Fault::new(Message::Wrong { found: kind(self.0).to_owned(), expected: "a text".to_owned() })
                .at(&self.0.place)),
        }
    }

    forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'a> {
    items: &'a [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let step = Step::Item(self.next);
        self.next += 1;
        seed.deserialize(Reader(item)).map(Some).map_err(|fault| fault.at(&item.place).below(step))
    }
}

struct Entries<'a> {
    entries: &'a [Entry],
    next: usize,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some(entry) = self.entries.get(self.next) else { return Ok(None) };
        self.next += 1;
        let key = seed.deserialize(entry.key.as_str().into_deserializer());
        key.map(Some).map_err(|fault: Fault| fault.at(&entry.place).below(Step::Key(self.next - 1, entry.key.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let index = self.next.saturating_sub(1);
        let Some(entry) = self.entries.get(index) else { return Err(serde::de::Error::custom("no value")) };
        seed.deserialize(Reader(&entry.value))
            .map_err(|fault| fault.at(&entry.value.place).below(Step::Key(index, entry.key.clone())))
    }
}

struct PlacedAccess<'a> {
    node: &'a Node,
    next: usize,
}

impl<'de> MapAccess<'de> for PlacedAccess<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some(key) = PLACED_FIELDS.get(self.next) else { return Ok(None) };
        self.next += 1;
        seed.deserialize((*key).into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        match self.next {
            1 => seed.deserialize(self.node.place.file().into_deserializer()),
            2 => seed.deserialize(self.node.place.at.line.into_deserializer()),
            3 => seed.deserialize(self.node.place.at.column.into_deserializer()),
            _ => seed.deserialize(Reader(self.node)),
        }
    }
}
