//! `fs.edit`: a change of a part of a file, as exact text or as a unified patch.
//!
//! The probe compares two stories, "the call did not happen" and "it did", with the file as it is now. It never says
//! that a call did not happen when repeating it could change the file a second time.

use std::{io::Read as _, path::Path};

use diffy::Patch;
use masque_types::tool::{EffectClass, ProbeAnswer, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Builtin, Call, Run, schema_of};
use crate::failure::{Failure, Outcome, arguments};

/// The largest file that is edited.
const FILE_BYTES: u64 = 32 * 1024 * 1024;

pub(super) const TOOL: Builtin = Builtin {
    name: "fs.edit",
    description: "Changes a part of a text file of the workspace. Give `old` and `new`: `old` must be in the file \
                  exactly as written, with its white space, and exactly `count` times (default once); take in \
                  neighbouring lines to make it unique. Or give `patch`, the hunks of a unified diff for this one \
                  file. When the text is not found, or not that often, nothing is changed: read the file and try \
                  again. To make a file or rewrite it whole use fs.write.",
    effect: EffectClass::Probe,
    schema: schema_of::<Arguments>,
    run: Run::Probed(run, probe),
};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The file, relative to the workspace.
    path: String,
    /// The exact text to be replaced.
    #[serde(default)]
    old: Option<String>,
    /// The text that takes its place; empty to delete.
    #[serde(default)]
    new: Option<String>,
    /// How often `old` must be in the file; every one is replaced. 1 when absent.
    #[serde(default)]
    count: Option<usize>,
    /// A unified diff for this file, instead of `old` and `new`.
    #[serde(default)]
    patch: Option<String>,
}

/// A change, checked for form.
#[derive(Debug)]
enum Change<'a> {
    Exact { old: &'a str, new: &'a str, count: usize },
    Patch(Patch<'a, str>),
}

fn run(call: &Call, value: Value) -> Outcome {
    let asked: Arguments = arguments(value)?;
    let relative = call.workspace.relative(&asked.path)?;
    let change = Change::from_arguments(&asked)?;
    let before = text_of(call, &relative)?;
    let after = change.apply(&before, &asked.path)?;
    call.workspace.replace(&relative, after.as_bytes())?;
    let (less, more) = (before.lines().count(), after.lines().count());
    Ok(ToolOutput::text(format!("{} in {}: {less} lines before, {more} now", change.done(), relative.display())))
}

fn probe(call: &Call, value: Value) -> Outcome<ProbeAnswer> {
    let asked: Arguments = arguments(value)?;
    let relative = call.workspace.relative(&asked.path)?;
    let change = Change::from_arguments(&asked)?;
    Ok(match change.judge(&text_of(call, &relative)?) {
        Story::Happened => ProbeAnswer::Happened(ToolOutput::text(format!(
            "{} in {}; the confirmation was lost, the file holds the change",
            change.done(),
            relative.display()
        ))),
        Story::DidNotHappen => ProbeAnswer::DidNotHappen,
        Story::Unclear => ProbeAnswer::Unknown,
    })
}

fn text_of(call: &Call, relative: &Path) -> Outcome<String> {
    let shown = relative.display();
    let (file, stat) = call.workspace.open_file(relative)?;
    if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > FILE_BYTES {
        return Err(Failure::new(format!("`{shown}` is larger than {FILE_BYTES} bytes; change it with a program")));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES).read_to_end(&mut bytes).map_err(|error| Failure::new(format!("`{shown}`: {error}")))?;
    String::from_utf8(bytes).map_err(|_| {
        Failure::new(format!("`{shown}` is not UTF-8 text; change it with a program, nothing was changed"))
    })
}

/// What the file says about an interrupted call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    Happened,
    DidNotHappen,
    Unclear,
}

impl<'a> Change<'a> {
    fn from_arguments(asked: &'a Arguments) -> Outcome<Self> {
        match (&asked.old, &asked.new, &asked.patch) {
            (Some(old), Some(_), None) if old.is_empty() => {
                Err(Failure::new("`old` is empty; to make a file use fs.write"))
            }
            (Some(old), Some(new), None) if old == new => {
                Err(Failure::new("`old` and `new` are the same; nothing would change"))
            }
            (Some(old), Some(new), None) => Ok(Self::Exact { old, new, count: asked.count.unwrap_or(1).max(1) }),
            (None, None, Some(patch)) => Patch::from_str(patch).map(Self::Patch).map_err(|error| {
                Failure::new(format!(
                    "the patch is no unified diff: {error}; check the line counts of its @@ lines, or use `old` and `new`"
                ))
            }),
            _ => Err(Failure::new("give either `old` and `new`, or `patch`")),
        }
    }

    fn apply(&self, text: &str, path: &str) -> Outcome<String> {
        match self {
            Self::Exact { old, new, count } => {
                let found = text.matches(old).count();
                if found == *count { Ok(text.replace(old, new)) } else { Err(miscount(text, old, found, *count, path)) }
            }
            Self::Patch(patch) if patch.hunks().is_empty() => {
                Err(Failure::new("the patch has no hunk: lines that begin with @@, then with space, - or +"))
            }
            Self::Patch(patch) => diffy::apply(text, patch).map_err(|error| {
                Failure::new(format!(
                    "the patch does not fit `{path}` ({error}); nothing was changed: read the file and use its exact lines"
                ))
            }),
        }
    }

    fn done(&self) -> String {
        match self {
            Self::Exact { count: 1, .. } => "replaced the text".to_owned(),
            Self::Exact { count, .. } => format!("replaced the text {count} times"),
            Self::Patch(patch) => format!("applied {} hunks", patch.hunks().len()),
        }
    }

    /// A change that no longer applies can safely be tried again: that only tells the model what it finds. One that
    /// applies did not happen, unless the file could also be what the change made.
    fn judge(&self, text: &str) -> Story {
        let applies = self.apply(text, "").is_ok();
        match (applies, applies && self.could_have_made(text), !applies && self.is_in(text)) {
            (true, true, _) => Story::Unclear,
            (false, _, true) => Story::Happened,
            _ => Story::DidNotHappen,
        }
    }

    /// Whether a file to which the change applies may already be its result. An `old` that stands clear of every `new`
    /// was there before too, and then one too many for the change to have applied.
    fn could_have_made(&self, text: &str) -> bool {
        match self {
            Self::Exact { old, new: "", count } => *count > 1 || joined_by_deletion(text, old),
            Self::Exact { old, new, count } => {
                let made: Vec<usize> = occurrences(text, new).collect();
                text.matches(new).count() >= *count
                    && text.match_indices(old).all(|(place, _)| {
                        made.iter().any(|start| *start < place + old.len() && place < start + new.len())
                    })
            }
            Self::Patch(patch) => diffy::apply(text, &patch.reverse()).is_ok(),
        }
    }

    /// Whether a file to which the change does not apply holds it.
    fn is_in(&self, text: &str) -> bool {
        match self {
            Self::Exact { old, new: "", .. } => !text.contains(old),
            Self::Exact { new, count, .. } => text.matches(new).count() >= *count,
            Self::Patch(patch) => diffy::apply(text, &patch.reverse()).is_ok(),
        }
    }
}

/// Where a text begins, overlapping places included.
fn occurrences<'t>(text: &'t str, wanted: &'t str) -> impl Iterator<Item = usize> + 't {
    text.char_indices()
        .map(|(place, _)| place)
        .filter(move |place| text.get(*place..).is_some_and(|rest| rest.starts_with(wanted)))
}

/// Whether the one `old` in a text may have come together when another one was deleted from its middle.
fn joined_by_deletion(text: &str, old: &str) -> bool {
    text.match_indices(old).any(|(place, _)| {
        (1..old.len()).filter_map(|inside| text.split_at_checked(place + inside)).any(|(left, right)| {
            let before = format!("{left}{old}{right}");
            before.matches(old).count() == 1 && before.replace(old, "") == text
        })
    })
}

fn miscount(text: &str, old: &str, found: usize, count: usize, path: &str) -> Failure {
    if found > 0 {
        return Failure::new(format!(
            "`old` is in `{path}` {found} times, expected {count}; nothing was changed: take in more lines around it, \
             or set `count` to {found} to replace every one"
        ));
    }
    let unified = text.replace("\r\n", "\n");
    let hint = if text.contains("\r\n") && unified.contains(old) {
        "the lines of the file end with \\r\\n: write them so in `old` and `new`"
    } else if squeezed(text).contains(&squeezed(old)) {
        "only its white space differs: copy it exactly from fs.read"
    } else {
        "read the file again, it may have changed"
    };
    Failure::new(format!("`old` is not in `{path}`; nothing was changed: {hint}"))
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact<'a>(old: &'a str, new: &'a str, count: usize) -> Change<'a> {
        Change::Exact { old, new, count }
    }

    #[test]
    fn the_probe_tells_before_from_after() {
        let change = exact("let a = 1;", "let a = 2;", 1);
        assert_eq!(change.judge("x\nlet a = 1;\n"), Story::DidNotHappen);
        assert_eq!(change.judge("x\nlet a = 2;\n"), Story::Happened);
        assert_eq!(change.judge("something else"), Story::DidNotHappen);
        let insertion = exact("b", "b\nb2", 1);
        assert_eq!(insertion.judge("a\nb\nc"), Story::DidNotHappen);
    }

    #[test]
    fn a_patch_is_judged_by_its_reverse() {
        let patch = "@@ -1,2 +1,2 @@\n-old\n+new\n same\n";
        let asked = Arguments { path: "f".into(), old: None, new: None, count: None, patch: Some(patch.into()) };
        let change = Change::from_arguments(&asked).unwrap();
        assert_eq!(change.judge("old\nsame\n"), Story::DidNotHappen);
        assert_eq!(change.judge("new\nsame\n"), Story::Happened);
        assert_eq!(change.apply("old\nsame\n", "f").unwrap(), "new\nsame\n");
    }

    proptest! {
        /// The two mistakes that would lose or double an edit cannot be made.
        #[test]
        fn the_probe_neither_loses_nor_doubles(text in "[ab\n]{0,12}", old in "[ab]{1,3}", new in "[ab\n]{0,4}", count in 1usize..3) {
            prop_assume!(old != new);
            let change = exact(&old, &new, count);
            if let Ok(after) = change.apply(&text, "") {
                prop_assert_ne!(change.judge(&text), Story::Happened, "lost: {:?}", text);
                let doubled = change.judge(&after) == Story::DidNotHappen && change.apply(&after, "").is_ok();
                prop_assert!(!doubled, "doubled: {:?} -> {:?}", text, after);
            }
        }
    }
}
