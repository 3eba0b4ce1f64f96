//! Which groups of documents deserve a summary. Leaves out reading them.

use std::{collections::BTreeMap, time::Duration};

use masque_types::{
    digest::Digest,
    id::DocumentId,
    memory::{Document, DocumentKind, Namespace, Origin},
    time::Timestamp,
};
use serde::Serialize;
use serde_json::Value;

/// A remembered document and its size.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The document.
    pub document: Document,
    /// Estimated tokens of all its chunks.
    pub tokens: u64,
}

/// When a group deserves a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A document of so many tokens is summarised by itself.
    pub long_tokens: u64,
    /// Documents of a group at least.
    pub group_documents: usize,
    /// Tokens of a group at least.
    pub group_tokens: u64,
    /// Tokens of the sources of one summary at most: a larger group gets several.
    pub most_tokens: u64,
    /// Nothing is summarised that was changed so recently.
    pub settled: Duration,
    /// Groups of one plan at most.
    pub most_groups: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            long_tokens: 8_000,
            group_documents: 3,
            group_tokens: 4_000,
            most_tokens: 24_000,
            settled: Duration::from_secs(600),
            most_groups: 12,
        }
    }
}

/// Documents that are to be summarised together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Who may read them, and the summary.
    pub namespace: Namespace,
    /// What they have in common: a directory, a conversation, a tag, or the one document.
    pub name: String,
    /// Why they deserve a summary.
    pub why: Why,
    /// The documents, oldest first.
    pub documents: Vec<DocumentId>,
    /// Their tokens.
    pub tokens: u64,
    /// The source that the summary is remembered under; a new summary of the same group replaces the old one.
    pub source: String,
}

/// Why a group deserves a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It has none.
    New,
    /// Something of it changed after its summary was made, or came or went.
    Outdated,
}

/// The groups that deserve a summary: the largest first, those without one before those whose is outdated.
#[must_use]
pub fn plan(listed: &[Listed], limits: &Limits, now: Timestamp) -> Vec<Group> {
    let summaries: BTreeMap<(&Namespace, &str), &Document> = listed
        .iter()
        .filter(|listed| listed.document.kind == DocumentKind::Summary)
        .map(|listed| ((&listed.document.namespace, listed.document.source.as_str()), &listed.document))
        .collect();
    let mut groups: Vec<Group> = grouped(listed, limits)
        .into_iter()
        .filter(|((_, _), members)| {
            members.iter().all(|member| now.since(member.document.changed_at) >= limits.settled)
        })
        .flat_map(|((namespace, name), members)| split(namespace, &name, members, limits))
        .filter_map(|(mut group, members)| {
            group.why = due(summaries.get(&(&group.namespace, group.source.as_str())).copied(), &members)?;
            Some(group)
        })
        .collect();
    groups.sort_by(|a, b| a.why.cmp(&b.why).then(b.tokens.cmp(&a.tokens)).then(a.name.cmp(&b.name)));
    groups.truncate(limits.most_groups);
    groups
}

type Members<'a> = Vec<&'a Listed>;

/// Long documents by themselves, the others by what they have in common, if they are many and large enough.
fn grouped<'a>(listed: &'a [Listed], limits: &Limits) -> BTreeMap<(&'a Namespace, String), Members<'a>> {
    let mut groups: BTreeMap<(&Namespace, String), Members<'_>> = BTreeMap::new();
    for one in listed {
        let document = &one.document;
        if !matches!(document.kind, DocumentKind::Document | DocumentKind::Note) || is_over(document) {
            continue;
        }
        let name = if one.tokens >= limits.long_tokens { document.source.clone() } else { common(document) };
        groups.entry((&document.namespace, name)).or_default().push(one);
    }
    groups.retain(|_, members| {
        let tokens: u64 = members.iter().map(|member| member.tokens).sum();
        let long = members.len() == 1 && tokens >= limits.long_tokens;
        long || (members.len() >= limits.group_documents && tokens >= limits.group_tokens)
    });
    groups
}

/// Whether something took the place of a note.
fn is_over(document: &Document) -> bool {
    document.metadata.contains_key(crate::notes::SUPERSEDED_BY)
}

/// What a document has in common with others: its conversation, else its directory, else its first tag.
fn common(document: &Document) -> String {
    let text = |key: &str| document.metadata.get(key).and_then(Value::as_str);
    if let Some(thread) = text("thread") {
        return format!("thread {thread}");
    }
    if document.kind == DocumentKind::Document {
        return document.source.rsplit_once('/').map_or("/", |(directory, _)| directory).to_owned();
    }
    let tags = document.metadata.get("tags").and_then(Value::as_array);
    let tag = tags.and_then(|tags| tags.first()).and_then(Value::as_str);
    format!("notes {}", tag.unwrap_or("without a tag"))
}

/// Parts of a group that a model can read at once, oldest documents first.
fn split<'a>(
    namespace: &Namespace,
    name: &str,
    mut members: Members<'a>,
    limits: &Limits,
) -> Vec<(Group, Members<'a>)> {
    members.sort_by(|a, b| {
        let of = |listed: &Listed| (listed.document.changed_at, listed.document.source.clone());
        of(a).cmp(&of(b))
    });
    let mut parts: Vec<Members<'_>> = Vec::new();
    let mut used = 0;
    for member in members {
        let full = used > 0 && used + member.tokens > limits.most_tokens;
        match parts.last_mut().filter(|_| !full) {
            Some(part) => part.push(member),
            None => {
                parts.push(vec![member]);
                used = 0;
            }
        }
        used += member.tokens;
    }
    let several = parts.len() > 1;
    let part = |(number, members): (usize, Members<'a>)| {
        let name = if several { format!("{name} ({number})") } else { name.to_owned() };
        let group = Group {
            namespace: namespace.clone(),
            source: summary_source(&name),
            name,
            why: Why::New,
            documents: members.iter().map(|member| member.document.id).collect(),
            tokens: members.iter().map(|member| member.tokens).sum(),
        };
        (group, members)
    };
    (1..).zip(parts).map(part).collect()
}

/// The source that the summary of a group is remembered under, by the group's name.
#[must_use]
pub fn summary_source(name: &str) -> String {
    format!("summary:{}", Digest::of(name).short())
}

/// Whether a group needs a summary; nothing when it has one that is up to date.
fn due(summary: Option<&Document>, members: &[&Listed]) -> Option<Why> {
    let Some(summary) = summary else { return Some(Why::New) };
    let known = ids(summary);
    let same = known.len() == members.len() && members.iter().all(|member| known.contains(&member.document.id));
    let newest = members.iter().map(|member| member.document.indexed_at).max();
    (!same || newest.is_some_and(|newest| newest > summary.indexed_at)).then_some(Why::Outdated)
}

/// The documents that a summary was made from.
fn ids(summary: &Document) -> Vec<DocumentId> {
    let sources = summary.metadata.get("sources").and_then(Value::as_array);
    sources.into_iter().flatten().filter_map(|id| id.as_str()?.parse().ok()).collect()
}

/// The origin of what a model makes from documents: it is never to be taken at its word.
pub(super) const ORIGIN: Origin = Origin::Untrusted;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::document_id;

    fn listed(source: &str, kind: DocumentKind, tokens: u64, at: i64) -> Listed {
        let namespace = Namespace::Project("p".to_owned());
        let document = Document {
            id: document_id(&namespace, source),
            namespace,
            source: source.to_owned(),
            kind,
            title: source.to_owned(),
            media_type: "text/markdown".to_owned(),
            origin: Origin::Untrusted,
            digest: Digest::of(source),
            changed_at: Timestamp(at),
            indexed_at: Timestamp(at),
            metadata: serde_json::Map::new(),
        };
        Listed { document, tokens }
    }

    fn shown(groups: &[Group]) -> Vec<String> {
        groups
            .iter()
            .map(|group| format!("{} {:?} {} {}", group.name, group.why, group.documents.len(), group.tokens))
            .collect()
    }

    #[test]
    fn long_documents_and_full_directories_are_due_until_they_are_summarised() {
        use DocumentKind::{Document, Standard, Summary};
        let now = Timestamp(10_000_000);
        let mut all = vec![
            listed("notes/a.md", Document, 2_000, 1),
            listed("notes/b.md", Document, 2_000, 2),
            listed("notes/c.md", Document, 2_000, 3),
            listed("book.md", Document, 9_000, 4),
            listed("few/a.md", Document, 3_000, 5),
            listed("standards/x.md", Standard, 90_000, 6),
        ];
        let groups = plan(&all, &Limits::default(), now);
        assert_eq!(shown(&groups), ["book.md New 1 9000", "notes New 3 6000"]);

        for group in &groups {
            let mut summary = listed(&group.source, Summary, 300, 100);
            let ids: Vec<String> = group.documents.iter().map(ToString::to_string).collect();
            summary.document.metadata.insert("sources".to_owned(), ids.into());
            all.push(summary);
        }
        assert!(plan(&all, &Limits::default(), now).is_empty());

        all[0].document.indexed_at = Timestamp(200);
        assert_eq!(shown(&plan(&all, &Limits::default(), now)), ["notes Outdated 3 6000"]);
        assert!(plan(&all, &Limits::default(), Timestamp(50)).is_empty(), "what changed just now waits");
    }

    #[test]
    fn a_large_group_is_split_by_age() {
        let all: Vec<Listed> =
            (0..10).map(|n| listed(&format!("d/{n}.md"), DocumentKind::Document, 7_000, n)).collect();
        let groups = plan(&all, &Limits::default(), Timestamp(10_000_000));
        assert_eq!(
            shown(&groups),
            ["d (1) New 3 21000", "d (2) New 3 21000", "d (3) New 3 21000", "d (4) New 1 7000"]
                .map(str::to_owned)
                .to_vec()
        );
    }
}
