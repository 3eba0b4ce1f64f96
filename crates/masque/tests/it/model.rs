//! `masque memory model` and `masque tool search`: with the real model where the tests have it, and by words alone.

use std::path::PathBuf;

use crate::support::Masque;

/// The directory with the files of all-MiniLM-L6-v2; none where the tests have none, which fails in CI.
#[expect(clippy::disallowed_methods, reason = "tests learn from the environment where the model is")]
fn model_files() -> Option<PathBuf> {
    if let Ok(directory) = std::env::var("MASQUE_TEST_MINILM") {
        return Some(directory.into());
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must set MASQUE_TEST_MINILM to a directory");
    println!("skipped: MASQUE_TEST_MINILM names no directory with the files of all-MiniLM-L6-v2");
    None
}

#[test]
fn without_a_model_words_are_searched_and_every_command_says_so() {
    let masque = Masque::new();
    let shown = masque.session("masque memory model show");
    assert!(shown.contains("none") && shown.contains("masque memory model fetch"), "{shown}");
    let doctor = masque.session("masque doctor");
    assert!(doctor.contains("embeddings") && doctor.contains("by words only"), "{doctor}");
    let found = masque.session("masque tool search run a command in the shell --limit 1");
    assert!(found.contains("shell.exec(command") && found.contains("words were compared only"), "{found}");
    let wrong = masque.session("masque -c memory.embedder=minilm memory model show");
    assert!(wrong.contains("has no `model.safetensors`"), "{wrong}");
    let elsewhere = masque.session("masque memory model fetch --from src");
    assert!(
        elsewhere.contains("expected the files of all-MiniLM-L6-v2") && elsewhere.contains("[exit 2]"),
        "{elsewhere}"
    );
}

#[test]
fn a_fetched_model_embeds_from_then_on() {
    let Some(files) = model_files() else { return };
    let masque = Masque::new();
    let fetched = masque.shell(&format!("masque memory model fetch --from {}", files.display()));
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let view = masque.json("masque memory model show --json");
    assert_eq!((&view["dimension"], &view["fetched"]), (&384.into(), &true.into()), "{view}");
    assert!(view["model"].as_str().unwrap().starts_with("all-MiniLM-L6-v2@"), "{view}");
    // No word of the question stands in the tool that it means.
    let found = masque.json("masque tool search --limit 3 --json put new lines on disk");
    let names: Vec<&str> = found["tools"].as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert!(names.contains(&"fs.write"), "{found}");
    assert_eq!(found["model"], view["model"]);
    let log = masque.session("masque audit tail");
    assert!(log.contains("memory.model.fetch"), "{log}");
}
