//! From the bytes of a document to text with headings: Markdown, plain text, code, HTML, PDF, office documents, tables,
//! mail.
//!
//! Owns: recognising a format, extraction, and the limits that hostile bytes meet. Leaves out chunks, storage and the
//! process that it runs in.
