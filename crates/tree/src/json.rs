//! JSON as a tree.

use serde_json::Value;

use crate::{
    node::Node,
    place::{ParseError, Place},
    yaml::{Limits, before_place, parse_yaml},
};

/// Parses one JSON document. The YAML parser reads it a second time for the places; where the two languages differ,
/// the values are right and the places are missing.
///
/// # Errors
/// The text is not JSON.
pub fn parse_json(text: &str, limits: Limits) -> Result<Node, ParseError> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let place = Place::of(error.line(), error.column());
        ParseError { place, message: before_place(&error.to_string()) }
    })?;
    match parse_yaml(text, limits) {
        Ok(node) if node.to_json() == value => Ok(node),
        _ => Ok(Node::json(value)),
    }
}
