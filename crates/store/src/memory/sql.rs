//! Statements whose conditions depend on what is asked for, with their parameters. Leaves out what is asked for.

use masque_types::memory::Namespace;

use super::record::MemoryFilter;
use crate::value::Value;

/// Sorts after every text that a source begins with.
const AFTER_ALL: char = '\u{10ffff}';

/// A statement that grows.
#[derive(Debug, Default)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) params: Vec<Value<'static>>,
}

impl Statement {
    pub(super) fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), params: Vec::new() }
    }

    /// Adds text without parameters.
    pub(super) fn text(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// Adds a parameter.
    pub(super) fn value(&mut self, value: impl Into<Value<'static>>) -> &mut Self {
        self.params.push(value.into());
        self.sql.push_str(&format!("${}", self.params.len()));
        self
    }

    /// Adds `column IN (…)`; nothing is in an empty list.
    pub(super) fn any_of<T: Into<Value<'static>>>(
        &mut self,
        column: &str,
        values: impl IntoIterator<Item = T>,
    ) -> &mut Self {
        let mut values = values.into_iter();
        let Some(first) = values.next() else { return self.text("1 = 0") };
        self.text(column).text(" IN (").value(first);
        for value in values {
            self.text(", ").value(value);
        }
        self.text(")")
    }

    /// Adds the condition that a column with byte order begins so.
    pub(super) fn begins(&mut self, column: &str, beginning: &str) -> &mut Self {
        self.text(column).text(" >= ").value(beginning.to_owned());
        self.text(" AND ").text(column).text(" < ").value(format!("{beginning}{AFTER_ALL}"))
    }

    /// Adds the conditions of a filter on `d`, a document, and `n`, its namespace.
    pub(super) fn filter(&mut self, filter: &MemoryFilter) -> &mut Self {
        self.any_of("n.name", filter.namespaces.iter().map(Namespace::to_string));
        self.narrow(filter)
    }

    /// Adds the conditions of a filter on `d` except the one on its namespace, each behind an AND.
    pub(super) fn narrow(&mut self, filter: &MemoryFilter) -> &mut Self {
        if !filter.kinds.is_empty() {
            self.text(" AND ").any_of("d.kind", filter.kinds.iter().map(|kind| kind.name().to_owned()));
        }
        if let Some(origin) = filter.origin {
            self.text(" AND d.origin = ").value(origin.name().to_owned());
        }
        if let Some(since) = filter.since {
            self.text(" AND d.changed_at >= ").value(since);
        }
        if let Some(until) = filter.until {
            self.text(" AND d.changed_at < ").value(until);
        }
        if let Some(prefix) = &filter.source_prefix {
            self.text(" AND ").begins("d.source", prefix);
        }
        for tag in &filter.tags {
            self.text(" AND EXISTS (SELECT 1 FROM document_tags t WHERE t.document_key = d.document_key AND t.tag = ");
            self.value(tag.clone()).text(")");
        }
        self
    }
}
