//! Markdown as lines, and what must hold for any text.

use proptest::prelude::*;

use super::*;

fn looks(width: usize, colour: bool) -> Looks {
    Looks { width, colour }
}

fn text(markdown: &str, looks: Looks) -> String {
    let lines: Vec<_> = Markdown::rendered(markdown, looks).iter().map(|line| line.written(looks.colour)).collect();
    lines.join("\n").replace('\u{1b}', "^")
}

const SAMPLE: &str = "\
# Review

Some *soft* and **hard** words with `code`, and [a link](https://example.org).
The second line belongs to the paragraph.
- one
- two
  goes on
  1. inner
  2. inner two

     paragraph of inner two
- [x] done

> quoted
> text

| name | lines | about |
|:-----|------:|-------|
| a.rs |    12 | the `main` part of the program |
| b.rs |   345 | rest |

```rust
fn main() {}
```
After.

---
    indented
";

#[test]
fn without_colour_the_signs_of_the_source_stay() {
    insta::assert_snapshot!(text(SAMPLE, looks(46, false)), @r"
    # Review

    Some *soft* and **hard** words with `code`,
    and a link (https://example.org). The second
    line belongs to the paragraph.

    • one
    • two goes on
      1. inner
      2. inner two

         paragraph of inner two
    • [x] done

    │ quoted text

    name │ lines │ about
    ─────┼───────┼───────────────────────────────
    a.rs │    12 │ the `main` part of the program
    b.rs │   345 │ rest

      fn main() {}

    After.

    ────────────────────────────────────────

      indented
    ");
}

#[test]
fn with_colour_styles_take_their_place() {
    let shown = text("# A\n\n**b** `c` [d](e) *f*\n\n```rust\nlet a;\n```\n", looks(40, true));
    insta::assert_snapshot!(shown, @r"
    ^[1m^[4mA^[0m

    ^[1mb^[0m ^[36mc^[0m ^[4md^[0m^[2m (e)^[0m ^[3mf^[0m

      ^[35mlet^[0m a;
    ");
}

#[test]
fn narrow_terminals_get_narrow_tables_and_then_records() {
    let table = "| name | about it |\n|---|---|\n| alpha | a long description of it |\n| b | c |\n";
    insta::assert_snapshot!(text(table, looks(22, false)), @r"
    name  │ about it
    ──────┼───────────────
    alpha │ a long
          │ description of
          │ it
    b     │ c
    ");
    insta::assert_snapshot!(text(table, looks(14, false)), @r"
    name: alpha
    about it:
      a long
      description
      of it

    name: b
    about it:
      c
    ");
}

#[test]
fn code_comes_out_line_by_line_and_the_open_block_can_be_looked_at() {
    let mut markdown = Markdown::new(looks(40, false));
    let shown = |lines: Vec<Line>| lines.iter().map(Line::text).collect::<Vec<_>>();
    assert_eq!(shown(markdown.push("Look:\n```py")), Vec::<String>::new());
    assert_eq!(shown(markdown.preview()), ["Look:"]);
    assert_eq!(shown(markdown.push("\nimport a\nimp")), ["Look:", "", "  import a"]);
    assert_eq!(shown(markdown.preview()), ["  imp"]);
    assert_eq!(shown(markdown.push("ort b\n```\nText **that")), ["  import b"]);
    assert_eq!(shown(markdown.preview()), ["", "Text **that"]);
    assert_eq!(shown(markdown.finish()), ["", "Text **that"]);
}

/// Pieces of Markdown, hostile ones among them.
fn any_markdown() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "# ",
        "- ",
        "  - ",
        "1. ",
        "> ",
        "```",
        "```rust\n",
        "~~~\n",
        "\n",
        "\n\n",
        "    ",
        "**",
        "*",
        "`",
        "[a](b)",
        "|",
        "|-|-|\n",
        "| a | b |\n",
        "---\n",
        "===\n",
        "<b>",
        "&#27;[2J",
        "&#155;",
        "\u{1b}[31m",
        "\u{1b}]8;;x\u{7}",
        "\u{9b}2J",
        "\r",
        "\u{202e}",
        "\t",
        "word",
        " ",
        "日本",
        "![x](y)",
        "<!-- ",
        "-->",
        "[a]: b\n",
        "\\",
        "- [ ] ",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn where_the_text_is_cut_does_not_matter(text in any_markdown(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let looks = looks(30, true);
        let letters: Vec<char> = text.chars().collect();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(letters.len() + 1)).collect();
        places.extend([0, letters.len()]);
        places.sort_unstable();
        let mut markdown = Markdown::new(looks);
        let mut lines = Vec::new();
        for pair in places.windows(2) {
            lines.extend(markdown.push(&letters[pair[0]..pair[1]].iter().collect::<String>()));
            let _ = markdown.preview();
        }
        lines.extend(markdown.finish());
        prop_assert_eq!(lines, Markdown::rendered(&text, looks));
    }

    #[test]
    fn nothing_but_own_styles_reaches_the_terminal(text in any_markdown(), width in 4_usize..50) {
        let own = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
        let looks = looks(width, true);
        let mut markdown = Markdown::new(looks);
        let mut lines = markdown.push(&text);
        lines.extend(markdown.preview());
        lines.extend(markdown.finish());
        for line in lines {
            let written = line.written(true);
            let rest = own.replace_all(&written, "");
            prop_assert!(!rest.chars().any(is_harmful), "{rest:?}");
            prop_assert!(!line.written(false).chars().any(is_harmful));
        }
    }

    #[test]
    fn every_word_of_plain_prose_is_shown(words in prop::collection::vec("[a-z]{1,9}", 1..30), width in 10_usize..60) {
        let prose = words.join(" ");
        let shown = Markdown::rendered(&prose, looks(width, false));
        prop_assert_eq!(shown.iter().map(Line::text).collect::<Vec<_>>().join(" "), prose);
    }
}
