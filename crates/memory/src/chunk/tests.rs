//! What holds for every text that is cut, and how the special ones are cut.

use proptest::prelude::*;

use super::*;

fn cut(media_type: &str, text: &str, tokens: usize, overlap: usize) -> Vec<Chunk> {
    let spec = ChunkSpec::new(tokens, overlap).unwrap();
    chunks(&Text { title: "Title", media_type, text }, &spec)
}

fn shown(chunks: &[Chunk]) -> String {
    let one =
        |chunk: &Chunk| format!("[{}] {}-{}\n{}", chunk.headings.join(" > "), chunk.lines.0, chunk.lines.1, chunk.text);
    chunks.iter().map(one).collect::<Vec<_>>().join("\n---\n")
}

#[test]
fn sections_carry_their_headings() {
    let text = "# Title\n\nIntro.\n\n## Use\n\n### On `Linux`\nRun it.\n\n```\n# no heading\n```\n\n### Elsewhere\n\nOld\n===\n\nLast.\n";
    let expect = "[Title] 3-3\nIntro.\n---\n[Title > Use > On Linux] 8-12\nRun it.\n\n```\n# no heading\n```\n---\n\
                  [Title > Use > Elsewhere] 15-15\n\n---\n[Title > Old] 19-19\nLast.";
    assert_eq!(shown(&cut("text/markdown", text, 100, 0)), expect);
}

#[test]
fn a_fence_that_fits_stays_whole_and_a_table_repeats_its_head() {
    let words = "word ".repeat(30);
    let code = format!("```\n{}```\n", "let x = 1;\n".repeat(8));
    let chunks = cut("text/markdown", &format!("{words}\n\n{code}\n{words}\n"), 60, 10);
    assert!(chunks.iter().any(|chunk| chunk.text.contains(code.trim_end())), "{}", shown(&chunks));

    let rows: String = (0..40).map(|row| format!("| {row} | value {row} |\n")).collect();
    let chunks = cut("text/markdown", &format!("| a | b |\n|---|---|\n{rows}"), 60, 10);
    assert!(chunks.len() > 3);
    for chunk in &chunks {
        assert!(chunk.text.starts_with("| a | b |\n|---|---|\n| "), "{}", chunk.text);
        assert!(chunk.tokens <= 60);
    }
}

#[test]
fn code_is_cut_between_functions_and_names_what_is_around() {
    let body = |name: &str| format!("    fn {name}(&self) {{\n{}    }}\n\n", "        self.count += 1;\n".repeat(6));
    let text = format!("use std::fmt;\n\nimpl Counter {{\n{}{}{}}}\n", body("one"), body("two"), body("three"));
    let chunks = cut("text/x-rust", &text, 80, 0);
    let second = chunks.iter().find(|chunk| chunk.text.contains("fn two")).unwrap();
    assert!(second.text.starts_with("    fn two"), "{}", shown(&chunks));
    assert_eq!(second.headings, ["Title", "impl Counter"]);
}

#[test]
fn a_long_paragraph_is_cut_at_sentences_that_overlap() {
    let text: String = (0..30).map(|n| format!("This is sentence number {n} of them. ")).collect();
    let chunks = cut("text/plain", &text, 64, 16);
    for pair in chunks.windows(2) {
        let first = pair[1].text.split_inclusive(". ").next().unwrap().trim_end();
        assert!(pair[0].text.ends_with(first), "{first}\n{}", shown(&chunks));
    }
}

#[test]
fn nothing_gives_nothing_and_a_title_gives_one() {
    assert_eq!(cut("text/markdown", "", 64, 0).len(), 1);
    assert!(
        chunks(&Text { title: "", media_type: "text/plain", text: " \n" }, &ChunkSpec::new(64, 0).unwrap()).is_empty()
    );
    assert!(ChunkSpec::new(10, 0).is_err() && ChunkSpec::new(64, 40).is_err());
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,9}( [a-z]{1,9}){0,12}[.]?",
        2 => Just(String::new()),
        1 => "#{1,4} [A-Z][a-z]{1,9}( [a-z]{1,9}){0,3}",
        1 => Just("```".to_owned()),
        1 => "- [a-z]{1,9}( [a-z]{1,9}){0,4}",
        1 => "[|] [a-z]{1,5} [|] [a-z]{1,5} [|]",
        1 => Just("|---|---|".to_owned()),
        1 => " {0,8}[a-z]{1,8}\\([a-z]{0,4}\\) [{]",
        1 => Just("===".to_owned()),
        1 => "> [a-z]{1,9}",
        1 => "[a-z]{150,400}",
        1 => "[東京都日本語]{1,80}",
    ]
}

fn media_type() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("text/markdown"), Just("text/plain"), Just("text/x-rust"), Just("message/rfc822")]
}

/// Letters and ideographs, which no cut may lose, in order.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_cut_is_whole_small_and_in_place(
        lines in proptest::collection::vec(line(), 0..60), media_type in media_type(), size in 32usize..120, share in 0usize..=50,
    ) {
        let text = lines.join("\n");
        let overlap = size * share / 100;
        let chunks = cut(media_type, &text, size, overlap);
        prop_assert_eq!(&chunks, &cut(media_type, &text, size, overlap));
        let numbered: Vec<&str> = text.split('\n').collect();
        let mut covered = vec![false; numbered.len() + 1];
        for (place, chunk) in chunks.iter().enumerate() {
            prop_assert_eq!(chunk.ordinal as usize, place);
            prop_assert!(chunk.tokens as usize <= size, "{} > {}: {}", chunk.tokens, size, chunk.text);
            let (first, last) = (chunk.lines.0 as usize, chunk.lines.1 as usize);
            prop_assert!(1 <= first && first <= last && last <= numbered.len(), "{first}-{last} of {}", numbered.len());
            let place = numbered[first - 1..last].join("\n");
            prop_assert!(chunk.text.lines().all(|line| text.contains(line)));
            prop_assert!(place.contains(chunk.text.lines().last().unwrap_or_default()));
            covered[first..=last].fill(true);
        }
        let kept: String = chunks.iter().flat_map(|chunk| chunk.headings.iter().chain([&chunk.text])).map(|text| letters(text)).collect::<Vec<_>>().join(" ");
        for line in &numbered {
            if line.len() < 150 {
                for word in line.split(|c: char| !c.is_alphanumeric()).filter(|word| word.is_ascii()) {
                    prop_assert!(kept.contains(word), "{word} is lost");
                }
            }
        }
        for (number, line) in numbered.iter().enumerate() {
            let heading = line.starts_with('#') || numbered.get(number + 1).is_some_and(|below| *below == "===") || *line == "===";
            prop_assert!(heading || letters(line).is_empty() || covered[number + 1], "line {} is lost: {line}", number + 1);
        }
    }
}
