//! The formats that are read, and what is known of each. Leaves out how one is recognised.

use serde::{Deserialize, Serialize};

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Markdown.
    Markdown,
    /// Plain text.
    Text,
    /// A program's source; the language is in the metadata.
    Code,
    /// A web page.
    Html,
    /// Portable Document Format.
    Pdf,
    /// A document of Word.
    Docx,
    /// Slides of `PowerPoint`.
    Pptx,
    /// A workbook of Excel.
    Xlsx,
    /// Values separated by commas.
    Csv,
    /// Values separated by tabs.
    Tsv,
    /// A mail.
    Mail,
    /// JSON, or one JSON text per line.
    Json,
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Markdown,
        Self::Text,
        Self::Code,
        Self::Html,
        Self::Pdf,
        Self::Docx,
        Self::Pptx,
        Self::Xlsx,
        Self::Csv,
        Self::Tsv,
        Self::Mail,
        Self::Json,
        Self::Yaml,
        Self::Toml,
    ];

    /// Media type of its bytes; that of code is more exact in [`crate::Extracted::media_type`].
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown",
            Self::Text | Self::Code => "text/plain",
            Self::Html => "text/html",
            Self::Pdf => "application/pdf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Csv => "text/csv",
            Self::Tsv => "text/tab-separated-values",
            Self::Mail => "message/rfc822",
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Toml => "application/toml",
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Markdown => "Markdown document",
            Self::Text => "text",
            Self::Code => "source file",
            Self::Html => "page",
            Self::Pdf => "PDF document",
            Self::Docx => "Word document",
            Self::Pptx => "presentation",
            Self::Xlsx => "workbook",
            Self::Csv | Self::Tsv => "table",
            Self::Mail => "mail",
            Self::Json => "JSON document",
            Self::Yaml => "YAML document",
            Self::Toml => "TOML document",
        }
    }

    /// Whether its extracted text is Markdown; that of the others stands as it was.
    #[must_use]
    pub const fn is_markdown(self) -> bool {
        !matches!(self, Self::Text | Self::Code | Self::Json | Self::Yaml | Self::Toml)
    }

    /// Whether its parser is so involved that bytes of strangers are given to it in a confined process only.
    #[must_use]
    pub const fn is_hostile(self) -> bool {
        matches!(self, Self::Pdf | Self::Docx | Self::Pptx | Self::Xlsx | Self::Mail)
    }
}
