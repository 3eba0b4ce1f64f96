//! Values and rows in the six kinds of column that both databases have. Leaves out how each database binds them.

use std::{borrow::Cow, str::FromStr, vec::IntoIter};

use masque_types::{digest::Digest, time::Timestamp};

use crate::Error;

/// One parameter or one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value<'_> {
    /// Counters stay far below the limit of a signed column; one that did not would stick at the largest value.
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value<'_> {
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(value: Timestamp) -> Self {
        Self::Int(value.0)
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a Digest> for Value<'a> {
    fn from(value: &'a Digest) -> Self {
        Self::Bytes(Cow::Borrowed(value.as_bytes()))
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer; its columns are taken from left to right.
#[derive(Debug)]
pub(crate) struct Row(IntoIter<Value<'static>>);

impl Row {
    pub(crate) fn new(columns: Vec<Value<'static>>) -> Self {
        Self(columns.into_iter())
    }

    fn wrong(expected: &str, found: Option<Value<'static>>) -> Error {
        let found = match found {
            None => "the end of the row",
            Some(Value::Null) => "nothing",
            Some(Value::Bool(_)) => "a truth value",
            Some(Value::Int(_)) => "a number",
            Some(Value::Float(_)) => "a fraction",
            Some(Value::Text(_)) => "a text",
            Some(Value::Bytes(_)) => "bytes",
        };
        Error::unreadable("a row of the database", format!("expected {expected}, found {found}"))
    }

    pub(crate) fn int(&mut self) -> Result<i64, Error> {
        match self.0.next() {
            Some(Value::Int(value)) => Ok(value),
            other => Err(Self::wrong("a number", other)),
        }
    }

    pub(crate) fn float(&mut self) -> Result<f64, Error> {
        match self.0.next() {
            Some(Value::Float(value)) => Ok(value),
            other => Err(Self::wrong("a fraction", other)),
        }
    }

    /// A number that was stored from an unsigned one.
    pub(crate) fn count(&mut self) -> Result<u64, Error> {
        let value = self.int()?;
        u64::try_from(value).map_err(|_| Error::unreadable("a row of the database", format!("{value} is negative")))
    }

    pub(crate) fn optional_int(&mut self) -> Result<Option<i64>, Error> {
        match self.0.next() {
            Some(Value::Null) => Ok(None),
            Some(Value::Int(value)) => Ok(Some(value)),
            other => Err(Self::wrong("a number or nothing", other)),
        }
    }

    /// A truth value, which SQLite keeps as a number.
    pub(crate) fn truth(&mut self) -> Result<bool, Error> {
        match self.0.next() {
            Some(Value::Bool(value)) => Ok(value),
            Some(Value::Int(value)) => Ok(value != 0),
            other => Err(Self::wrong("a truth value", other)),
        }
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, Error> {
        self.int().map(Timestamp)
    }

    pub(crate) fn text(&mut self) -> Result<String, Error> {
        match self.0.next() {
            Some(Value::Text(value)) => Ok(value.into_owned()),
            other => Err(Self::wrong("a text", other)),
        }
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, Error> {
        match self.0.next() {
            Some(Value::Null) => Ok(None),
            Some(Value::Text(value)) => Ok(Some(value.into_owned())),
            other => Err(Self::wrong("a text or nothing", other)),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        match self.0.next() {
            Some(Value::Bytes(value)) => Ok(value.into_owned()),
            other => Err(Self::wrong("bytes", other)),
        }
    }

    pub(crate) fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self.0.next() {
            Some(Value::Null) => Ok(None),
            Some(Value::Bytes(value)) => Ok(Some(value.into_owned())),
            other => Err(Self::wrong("bytes or nothing", other)),
        }
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, Error> {
        let bytes = self.bytes()?;
        Digest::from_bytes(&bytes).ok_or_else(|| Error::unreadable("a stored digest", "it has not 32 bytes"))
    }

    /// A text that parses, such as an id.
    pub(crate) fn parsed<T: FromStr<Err: ToString>>(&mut self) -> Result<T, Error> {
        let text = self.text()?;
        text.parse().map_err(|error: T::Err| Error::unreadable(format!("the stored `{text}`"), error))
    }

    /// A text that parses, or nothing.
    pub(crate) fn optional_parsed<T: FromStr<Err: ToString>>(&mut self) -> Result<Option<T>, Error> {
        let Some(text) = self.optional_text()? else { return Ok(None) };
        text.parse().map(Some).map_err(|error: T::Err| Error::unreadable(format!("the stored `{text}`"), error))
    }
}

/// PostgreSQL keeps no NUL in a text, so none is stored in either database.
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}
