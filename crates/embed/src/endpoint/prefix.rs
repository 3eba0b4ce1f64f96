//! The words that families of models want before questions and before texts; they were trained with them.

use masque_types::memory::EmbedPurpose;

/// What is put before each text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Prefixes {
    query: &'static str,
    document: &'static str,
}

/// Parts of models' names and what their authors tell to write; the first that fits.
const FAMILIES: [(&str, Prefixes); 5] = [
    ("nomic-embed-text", Prefixes { query: "search_query: ", document: "search_document: " }),
    ("multilingual-e5-large-instruct", Prefixes { query: "", document: "" }),
    ("e5-", Prefixes { query: "query: ", document: "passage: " }),
    (
        "mxbai-embed-large",
        Prefixes { query: "Represent this sentence for searching relevant passages: ", document: "" },
    ),
    (
        "snowflake-arctic-embed",
        Prefixes { query: "Represent this sentence for searching relevant passages: ", document: "" },
    ),
];

impl Prefixes {
    /// Those of a model, by its name.
    pub(super) fn of(model: &str) -> Self {
        let model = model.to_lowercase();
        let found = FAMILIES.iter().find(|(part, _)| model.contains(part));
        found.map(|(_, prefixes)| *prefixes).unwrap_or_default()
    }

    /// Those of one purpose.
    pub(super) const fn for_purpose(self, purpose: EmbedPurpose) -> &'static str {
        match purpose {
            EmbedPurpose::Query => self.query,
            EmbedPurpose::Document => self.document,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_known_by_name_wherever_it_stands() {
        let query = |model: &str| Prefixes::of(model).for_purpose(EmbedPurpose::Query);
        assert_eq!(query("nomic-embed-text:latest"), "search_query: ");
        assert_eq!(query("text-embedding-nomic-embed-text-v1.5"), "search_query: ");
        assert_eq!(query("intfloat/multilingual-E5-large"), "query: ");
        assert_eq!(query("text-embedding-3-small"), "");
    }
}
