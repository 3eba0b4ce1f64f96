//! Export and import as lines of JSON. Leaves out files and who may do it.
//!
//! The first line names the format; each other one is a document with its chunks. Vectors and terms are not exported: they
//! depend on the model and on this version, and are made again.

use std::io::{BufRead, Write};

use masque_store::{DocumentFilter, MemoryFilter, NewDocument};
use masque_types::{
    id::DocumentId,
    memory::{Chunk, Document, DocumentKind, Namespace, Origin},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;

use crate::{
    Error, Index, chunk,
    index::{document_id, new_chunk},
};

/// Version of the format. It changes when an older reader would read something else than was written.
const VERSION: u32 = 1;
/// Documents that are read or stored at once.
const PAGE: usize = 64;

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    masque_memory: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Exported {
    document: Document,
    chunks: Vec<Chunk>,
}

/// How an export is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Where everything goes; each document to the namespace that it was in when absent.
    pub into: Option<Namespace>,
    /// Whether documents that were trusted where they come from are trusted here.
    pub trust: Origin,
}

impl Index {
    /// Writes documents with their chunks; returns how many.
    ///
    /// # Errors
    /// Those of the store and of the writer.
    pub async fn export(&self, filter: &MemoryFilter, out: &mut (dyn Write + Send)) -> Result<u64, Error> {
        write_line(out, &Head { masque_memory: VERSION })?;
        let mut page = DocumentFilter { filter: filter.clone(), after: None, limit: PAGE };
        let mut count = 0;
        loop {
            let documents = self.store().documents(&page).await?;
            let Some(last) = documents.last() else { break };
            page.after = Some((last.namespace.clone(), last.source.clone()));
            for document in documents {
                let chunks = self.store().chunks(document.id).await?;
                write_line(out, &Exported { document, chunks })?;
                count += 1;
            }
        }
        out.flush()?;
        Ok(count)
    }

    /// Reads what [`Index::export`] wrote; returns how many documents. Documents that are there already are replaced;
    /// summaries come last, because they name others.
    ///
    /// # Errors
    /// [`Error::Import`] when a line is not what it should be; what came before it is kept. Those of reader and store.
    pub async fn import(&self, input: &mut (dyn BufRead + Send), import: &Import, at: Timestamp) -> Result<u64, Error> {
        let mut renamed = HashMap::new();
        let (mut batch, mut summaries) = (Vec::new(), Vec::new());
        let mut count = 0;
        for (number, line) in (1u64..).zip(input.lines()) {
            let line = line?;
            if number == 1 {
                check_head(&line)?;
                continue;
            }
            if line.trim().is_empty() {
                continue;
            }
            let exported = read_line(number, &line)?;
            let to = adopted(exported, import, at, &mut renamed);
            if to.document.kind == DocumentKind::Summary {
                summaries.push(to);
            } else {
                batch.push(to);
            }
            count += 1;
            if batch.len() >= PAGE {
                self.store().put_documents(std::mem::take(&mut batch)).await?;
            }
        }
        summaries.iter_mut().for_each(|summary| rename_sources(summary, &renamed));
        batch.append(&mut summaries);
        self.store().put_documents(batch).await?;
        Ok(count)
    }
}

fn write_line(out: &mut (dyn Write + Send), value: &impl Serialize) -> Result<(), Error> {
    let line = serde_json::to_string(value).map_err(std::io::Error::other)?;
    writeln!(out, "{line}")?;
    Ok(())
}

fn wrong(line: u64, reason: impl ToString) -> Error {
    Error::Import { line, reason: reason.to_string() }
}

fn check_head(line: &str) -> Result<(), Error> {
    let head: Head = serde_json::from_str(line)
        .map_err(|_| wrong(1, "it does not begin as an export does, with `{\"masque_memory\":1}`"))?;
    if head.masque_memory == VERSION {
        Ok(())
    } else {
        Err(wrong(1, format!("it has version {}, and this Masque reads version {VERSION}", head.masque_memory)))
    }
}

fn read_line(number: u64, line: &str) -> Result<Exported, Error> {
    let exported: Exported = serde_json::from_str(line).map_err(|error| wrong(number, error))?;
    let odd = exported.chunks.iter().find(|chunk| chunk.digest != chunk::digest(&chunk.headings, &chunk.text));
    match odd {
        Some(chunk) => Err(wrong(number, format!("the digest of chunk {} is not that of its text", chunk.ordinal))),
        None => Ok(exported),
    }
}

fn adopted(
    exported: Exported,
    import: &Import,
    at: Timestamp,
    renamed: &mut HashMap<DocumentId, DocumentId>,
) -> NewDocument {
    let Exported { mut document, chunks } = exported;
    let before = document.id;
    if let Some(namespace) = &import.into {
        document.namespace = namespace.clone();
    }
    if import.trust == Origin::Untrusted {
        document.origin = Origin::Untrusted;
    }
    document.id = document_id(&document.namespace, &document.source);
    document.indexed_at = at;
    renamed.insert(before, document.id);
    NewDocument { document, chunks: chunks.into_iter().map(new_chunk).collect() }
}

/// Lets a summary name its sources by the ids that they have here.
fn rename_sources(summary: &mut NewDocument, renamed: &HashMap<DocumentId, DocumentId>) {
    let Some(Value::Array(sources)) = summary.document.metadata.get_mut("sources") else { return };
    for source in sources {
        let id = source.as_str().and_then(|text| text.parse::<DocumentId>().ok());
        if let Some(id) = id.and_then(|id| renamed.get(&id)) {
            *source = Value::String(id.to_string());
        }
    }
}
