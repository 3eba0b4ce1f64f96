//! How large everything is: lines, longest file, length of functions. Tests do not count.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::tree::Tree;

/// A file has at most this many lines without its tests.
const FILE_LINES: usize = 800;
/// No crate is larger than this part of all code.
const CRATE_PERCENT: usize = 30;
/// Below this size of all code, a share says nothing.
const GROWN_UP_LINES: usize = 10_000;

/// The sizes of one crate.
#[derive(Debug, Default)]
pub(crate) struct Size {
    lines: usize,
    test_lines: usize,
    longest: (usize, String),
    functions: Vec<usize>,
}

/// The sizes of all crates, by name.
pub(crate) type Sizes = BTreeMap<String, Size>;

/// Measures the crates.
pub(crate) fn measure(tree: &Tree) -> Sizes {
    let mut sizes = Sizes::new();
    for (path, text) in tree.rust() {
        let Some((name, rest)) = path.strip_prefix("crates/").and_then(|rest| rest.split_once('/')) else { continue };
        let size = sizes.entry(name.to_owned()).or_default();
        if !rest.starts_with("src/") {
            size.test_lines += code_lines(text);
            continue;
        }
        let (code, tests) = split_tests(text);
        size.lines += code_lines(code);
        size.test_lines += code_lines(tests);
        size.longest = size.longest.clone().max((code.lines().count(), path.to_owned()));
        size.functions.extend(functions(code));
    }
    sizes
}

/// Faults of size.
pub(crate) fn check(sizes: &Sizes) -> Vec<String> {
    let total: usize = sizes.values().map(|size| size.lines).sum();
    let mut findings = Vec::new();
    for (name, size) in sizes {
        let (lines, path) = &size.longest;
        if *lines > FILE_LINES {
            findings.push(format!("{path}: {lines} lines without tests, at most {FILE_LINES}: split it by noun"));
        }
        let share = size.lines * 100 / total.max(1);
        if total >= GROWN_UP_LINES && share > CRATE_PERCENT {
            findings.push(format!("crates/{name}: {share}% of all code, at most {CRATE_PERCENT}%: split the crate"));
        }
    }
    findings
}

/// The sizes for people.
pub(crate) fn table(sizes: &Sizes) -> String {
    let total: usize = sizes.values().map(|size| size.lines).sum();
    let mut text =
        format!("{:<9} {:>7} {:>5} {:>7} {:>9}  longest file\n", "crate", "lines", "share", "tests", "fn p90");
    for (name, size) in sizes {
        let share = size.lines * 100 / total.max(1);
        let (lines, path) = &size.longest;
        let p90 = percentile_90(size.functions.clone());
        let _ =
            writeln!(text, "{name:<9} {:>7} {share:>4}% {:>7} {p90:>9}  {lines} {path}", size.lines, size.test_lines);
    }
    let tests: usize = sizes.values().map(|size| size.test_lines).sum();
    let p90 = percentile_90(sizes.values().flat_map(|size| size.functions.iter().copied()).collect());
    let _ = write!(text, "{:<9} {total:>7} {:>4}% {tests:>7} {p90:>9}", "all", 100);
    text
}

/// Code and the unit tests behind it.
fn split_tests(text: &str) -> (&str, &str) {
    text.find("\n#[cfg(test)]\nmod ").and_then(|end| text.split_at_checked(end)).unwrap_or((text, ""))
}

fn code_lines(text: &str) -> usize {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

/// Lengths of the functions. Formatted code ends a function with a brace at the column where it began.
fn functions(code: &str) -> Vec<usize> {
    let lines: Vec<&str> = code.lines().collect();
    let mut lengths = Vec::new();
    for (start, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
        let indent = line.len() - line.trim_start().len();
        let end = lines.iter().skip(start).position(|later| {
            let same = later.len() - later.trim_start().len() == indent;
            same && (later.trim_end().ends_with('}') || later.trim_end().ends_with(';'))
        });
        lengths.extend(end.map(|end| end + 1));
    }
    lengths
}

fn is_function(line: &str) -> bool {
    let mut words = line.trim_start().split([' ', '(']);
    words.find(|word| {
        !matches!(*word, "async" | "const" | "unsafe" | "extern")
            && !word.starts_with("pub")
            && !matches!(*word, "crate)" | "super)" | "self)")
    }) == Some("fn")
}

fn percentile_90(mut lengths: Vec<usize>) -> usize {
    lengths.sort_unstable();
    let index = (lengths.len() * 9).div_ceil(10).saturating_sub(1);
    lengths.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_code_without_tests_and_measures_functions() {
        let text = "//! Head.\n\npub(crate) async fn one(\n    a: u8,\n) -> u8 {\n    a\n}\n\nimpl X {\n    const fn two() {}\n}\n\n\
                    #[cfg(test)]\nmod tests {\n    fn three() {\n    }\n}\n";
        let tree = Tree { files: vec![("crates/a/src/lib.rs".to_owned(), text.to_owned())] };
        let sizes = measure(&tree);
        let size = &sizes["a"];
        assert_eq!((size.lines, size.test_lines), (8, 5));
        assert_eq!(size.functions, [5, 1]);
        assert!(check(&sizes).is_empty());
        assert_eq!(percentile_90((1..=10).collect()), 9);
    }
}
