//! Documents of the memory, what was found in them, and what changed.

use masque_app::memory::{
    AddedMemory, Change, CurateResult, Curated, CuratedGroup, Document, Forgotten, Found, Hit, LegRank, MemoryStats,
    MemoryView, Noted, Origin, Reindexed,
    sync::{Changes, Report},
};
use masque_types::{memory::Chunk, time::Timestamp};

use super::{heading, line, note, style};

/// Lines of a result that are shown.
const SHOWN_LINES: usize = 12;

/// A listing.
pub(crate) fn table(documents: &[Document], now: Timestamp) {
    let rows = documents.iter().map(|document| {
        [
            document.id.to_string(),
            document.kind.name().to_owned(),
            document.origin.name().to_owned(),
            style::age(now, document.changed_at),
            document.namespace.to_string(),
            style::shortened(&document.source, 60),
            style::shortened(&document.title, 60),
        ]
    });
    super::table(["DOCUMENT", "KIND", "ORIGIN", "AGE", "NAMESPACE", "SOURCE", "TITLE"], rows);
}

/// A document with its parts.
pub(crate) fn whole(view: &MemoryView) {
    let document = &view.document;
    line(&format!("{} {}", document.id, style::harmless(&document.title)));
    line(&format!("source    {}", style::harmless(&document.source)));
    line(&format!("namespace {}", document.namespace));
    line(&format!("kind      {}, {}", document.kind.name(), style::harmless(&document.media_type)));
    line(&format!("origin    {}", document.origin.name()));
    line(&format!("changed   {}, indexed {}", style::date(document.changed_at), style::date(document.indexed_at)));
    for (key, value) in &document.metadata {
        line(&format!("{:<9} {}", style::harmless(key), style::harmless(&value.to_string())));
    }
    for chunk in &view.chunks {
        line("");
        heading(&format!(
            "{} (lines {}-{}, {} tokens)",
            section(chunk, ""),
            chunk.lines.0,
            chunk.lines.1,
            chunk.tokens
        ));
        line(&style::harmless(chunk.text.trim_end()));
    }
}

/// The headings above a chunk, without the title of its document.
fn section(chunk: &Chunk, title: &str) -> String {
    let headings: Vec<&str> = chunk.headings.iter().map(String::as_str).filter(|heading| *heading != title).collect();
    if headings.is_empty() { format!("part {}", chunk.ordinal + 1) } else { style::harmless(&headings.join(" › ")) }
}

/// Results, best first.
pub(crate) fn found(found: &Found, explain: bool) {
    for (place, hit) in found.hits.iter().enumerate() {
        if place > 0 {
            line("");
        }
        result(place + 1, hit);
        if explain {
            explanation(hit);
        }
        let text = style::harmless(hit.chunk.text.trim());
        for row in text.lines().take(SHOWN_LINES) {
            line(format!("  │ {row}").trim_end());
        }
        let more = text.lines().count().saturating_sub(SHOWN_LINES);
        if more > 0 {
            line(&format!("  │ … {}", style::counted(more as u64, "line more", "lines more")));
        }
    }
    if found.hits.is_empty() {
        note("nothing fits");
    }
    for told in &found.notes {
        note(&told.to_string());
    }
}

fn result(number: usize, hit: &Hit) {
    let document = &hit.document;
    let label = if document.origin == Origin::Trusted { "" } else { ", untrusted" };
    let (first, last) = hit.chunk.lines;
    line(&format!("{number}. {}:{first}-{last}", style::harmless(&document.source)));
    let about = format!("{} › {}", document.title, section(&hit.chunk, &document.title));
    line(&format!("  {}", style::harmless(&about)));
    let contradicted = if hit.explanation.contradicted { ", contradicted by a later note" } else { "" };
    line(&format!(
        "  {} {} in {}{label}{contradicted}, score {:.4}",
        document.kind.name(),
        document.id,
        document.namespace,
        hit.score
    ));
}

fn explanation(hit: &Hit) {
    let told = &hit.explanation;
    let leg = |name: &str, rank: Option<LegRank>| match rank {
        Some(rank) => format!("{name} {} (score {:.3})", rank.rank, rank.score),
        None => format!("{name} not found"),
    };
    line(&format!("  {}, {}", leg("words", told.text), leg("meaning", told.vector)));
    let words = if told.matched.is_empty() { "-".to_owned() } else { style::harmless(&told.matched.join(" ")) };
    line(&format!(
        "  fused {:.4}, age × {:.2}, confidence {:.2}, words that match: {words}",
        told.fused, told.recency, told.confidence
    ));
}

/// What became of something that was added.
pub(crate) fn added(added: &AddedMemory) {
    let source = style::harmless(&added.source);
    if let Some(document) = &added.added {
        let change = match document.change {
            Change::None => "unchanged",
            Change::New => "added",
            Change::Replaced => "changed",
        };
        let chunks = style::counted(document.chunks as u64, "part", "parts");
        line(&format!(
            "{change} {source} as {} in {} ({chunks}, {} new)",
            document.document, added.namespace, document.new_chunks
        ));
    }
    match &added.noted {
        Some(Noted::Kept { document, contradicts }) => {
            line(&format!("noted as {document} in {}", added.namespace));
            for other in contradicts {
                note(&format!("{other} says something else; both are kept: masque memory show {other}"));
            }
        }
        Some(Noted::Refused { refusal }) => note(&refusal.to_string()),
        None => {}
    }
    added.notes.iter().for_each(|told| note(&style::harmless(told)));
}

/// What a sync changed.
pub(crate) fn changes(changes: &Changes) {
    for (what, sources) in [("added", &changes.added), ("changed", &changes.changed), ("removed", &changes.removed)] {
        for source in sources {
            line(&format!("{what} {}", style::harmless(source)));
        }
    }
    for left_out in &changes.left_out {
        note(&format!("left out {}: {}", style::harmless(&left_out.source), style::harmless(&left_out.reason)));
    }
    note(&format!(
        "{} added, {} changed, {} removed, {} unchanged",
        changes.added.len(),
        changes.changed.len(),
        changes.removed.len(),
        changes.unchanged
    ));
}

/// What a watching tells.
pub(crate) fn report(report: &Report) {
    match report {
        Report::Scanned(told) => changes(told),
        Report::Embedded(parts) => note(&format!("{} got vectors", style::counted(*parts, "part", "parts"))),
        Report::Polling(reason) => note(&style::harmless(reason)),
        Report::Failed(error) => note(&style::harmless(&error.to_string())),
    }
}

/// What was forgotten.
pub(crate) fn forgotten(forgotten: &Forgotten) {
    for document in &forgotten.documents {
        line(&format!("forgot {} {} in {}", document.id, style::harmless(&document.source), document.namespace));
    }
    if forgotten.documents.is_empty() {
        note("nothing was forgotten: nothing is remembered that fits");
    }
}

/// What the curator did.
pub(crate) fn curated(curated: &Curated) {
    curated.groups.iter().for_each(curated_group);
    if curated.groups.is_empty() {
        note("nothing needs a summary");
    }
    curated.notes.iter().for_each(|told| note(&style::harmless(told)));
}

fn curated_group(curated: &CuratedGroup) {
    let group = &curated.group;
    let sources = style::counted(group.documents.len() as u64, "source", "sources");
    let about = format!("{} in {} ({sources}, {} tokens)", style::harmless(&group.name), group.namespace, group.tokens);
    match &curated.result {
        CurateResult::Planned => line(&format!("would summarise {about}")),
        CurateResult::Summarised { document, run, statements, contradictions, .. } => {
            let statements = style::counted(*statements as u64, "statement", "statements");
            line(&format!("summarised {about} as {document} ({statements}) by {run}"));
            for contradiction in contradictions {
                note(&format!("sources of {document} disagree: {}", style::harmless(contradiction)));
            }
        }
        CurateResult::Refused { run, reasons } => {
            line(&format!("not summarised {about}"));
            reasons.iter().for_each(|reason| note(&style::harmless(reason)));
            if let Some(run) = run {
                note(&format!("the answer that was refused: masque runs show {run}"));
            }
        }
    }
}

/// What making vectors did.
pub(crate) fn reindexed(done: &Reindexed) {
    match &done.model {
        Some(model) => line(&format!("{} got a vector of {model}", style::counted(done.embedded, "part", "parts"))),
        None => note("no embedding model, so nothing to do: masque memory model fetch"),
    }
}

/// How much is remembered.
pub(crate) fn stats(stats: &MemoryStats) {
    let rows = stats.namespaces.iter().map(|(namespace, sizes)| {
        [
            namespace.to_string(),
            sizes.documents.to_string(),
            sizes.untrusted.to_string(),
            sizes.chunks.to_string(),
            style::count(sizes.tokens as u64),
        ]
    });
    super::table(["NAMESPACE", "DOCUMENTS", "UNTRUSTED", "PARTS", "TOKENS"], rows);
    for stored in &stats.models {
        line(&format!("{}: {} vectors, {} missing", stored.model.name, stored.vectors, stored.missing));
    }
}
