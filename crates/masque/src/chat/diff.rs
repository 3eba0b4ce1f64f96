//! The difference of two texts: a unified diff in colours, and how many lines were added and removed.
//!
//! Leaves out where the texts come from.

use anstyle::{AnsiColor, Style};

use super::text::Line;
use crate::render::style::{BOLD, DIM, ERROR, GOOD};

/// The largest texts that are compared, in bytes: beyond, only sizes are told.
pub(crate) const MOST_BYTES: usize = 1 << 20;

/// A file before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Relative to the workspace.
    pub(crate) path: String,
    /// Absent when the file did not exist.
    pub(crate) before: Option<String>,
    /// Absent when the file is gone.
    pub(crate) after: Option<String>,
}

/// Added and removed lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) added: usize,
    pub(crate) removed: usize,
}

impl Change {
    /// Whether nothing changed.
    pub(crate) fn is_none(&self) -> bool {
        self.before == self.after
    }

    /// The header, then at most so many lines of the difference, and what was left away.
    pub(crate) fn lines(&self, most: usize) -> Vec<Line> {
        let (before, after) = (self.before.as_deref().unwrap_or(""), self.after.as_deref().unwrap_or(""));
        if before.len().max(after.len()) > MOST_BYTES {
            return vec![self.head(None).with(" too large to compare", DIM)];
        }
        let patch = diffy::create_patch(before, after);
        let (mut counts, mut lines) = (Counts::default(), Vec::new());
        for hunk in patch.hunks() {
            let (old, new) = (hunk.old_range(), hunk.new_range());
            lines.push(Line::styled(
                &format!("@@ -{},{} +{},{} @@", old.start(), old.len(), new.start(), new.len()),
                AnsiColor::Cyan.on_default(),
            ));
            for line in hunk.lines() {
                lines.push(diff_line(line, &mut counts));
            }
        }
        let total = lines.len();
        lines.truncate(most);
        let mut shown = vec![self.head(Some(counts))];
        shown.extend(lines.into_iter().map(|line| {
            let mut indented = Line::plain("  ");
            indented.extend(&line);
            indented
        }));
        if total > most && most > 0 {
            shown.push(Line::styled(&format!("  … {} more lines; /diff shows all", total - most), DIM));
        }
        shown
    }

    fn head(&self, counts: Option<Counts>) -> Line {
        let what = match (&self.before, &self.after) {
            (None, _) => "new ",
            (_, None) => "removed ",
            _ => "",
        };
        let mut line = Line::styled(what, DIM).with(&self.path, BOLD);
        if let Some(Counts { added, removed }) = counts {
            line = line.with(&format!(" +{added}"), GOOD).with(&format!(" −{removed}"), ERROR);
        }
        line
    }
}

fn diff_line(line: &diffy::Line<'_, str>, counts: &mut Counts) -> Line {
    let text = |text: &str| text.trim_end_matches(['\n', '\r']).to_owned();
    match line {
        diffy::Line::Context(shown) => Line::styled(&format!(" {}", text(shown)), Style::new().dimmed()),
        diffy::Line::Delete(shown) => {
            counts.removed += 1;
            Line::styled(&format!("-{}", text(shown)), AnsiColor::Red.on_default())
        }
        diffy::Line::Insert(shown) => {
            counts.added += 1;
            Line::styled(&format!("+{}", text(shown)), AnsiColor::Green.on_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: Option<&str>, after: Option<&str>, most: usize, expected: &[&str]) {
        let change = Change { path: "a.txt".into(), before: before.map(Into::into), after: after.map(Into::into) };
        assert_eq!(change.lines(most).iter().map(Line::text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn added_and_removed_lines_are_counted_and_shown() {
        check(
            Some("a\nb\n"),
            Some("a\nc\nd\n"),
            20,
            &["a.txt +2 −1", "  @@ -1,2 +1,3 @@", "   a", "  -b", "  +c", "  +d"],
        );
        check(None, Some("a\u{1b}c\n"), 20, &["new a.txt +1 −0", "  @@ -0,0 +1,1 @@", "  +a\u{fffd}c"]);
        check(
            Some("a\nb\n"),
            Some(""),
            2,
            &["a.txt +0 −2", "  @@ -1,2 +0,0 @@", "  -a", "  … 1 more lines; /diff shows all"],
        );
    }
}
