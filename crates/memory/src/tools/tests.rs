//! The tool index against small sets of tools, and what is kept between processes.

use std::sync::atomic::{AtomicUsize, Ordering};

use masque_types::{
    BoxFuture,
    memory::EmbeddingModel,
    tool::{EffectClass, Place},
};
use serde_json::json;

use super::*;

fn tool(name: &str, description: &str, arguments: &[&str], depends_on: &[&str]) -> ToolSpec {
    let properties: serde_json::Map<_, _> = arguments.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema: json!({ "properties": properties, "required": arguments.iter().take(1).collect::<Vec<_>>() }),
        output_schema: None,
        effect: EffectClass::Once,
        place: Place::Remote,
        depends_on: depends_on.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn tools() -> Vec<ToolSpec> {
    vec![
        tool("mcp:git/commit", "Records changes to the repository.", &["message", "all"], &["mcp:git/stage"]),
        tool("mcp:git/stage", "Adds file contents to the index.", &["paths"], &[]),
        tool(
            "mcp:mail/send_message",
            "Sends an e-mail. It cannot be taken back.",
            &["to", "text"],
            &["mcp:mail/login"],
        ),
        tool("mcp:mail/login", "Opens the mailbox.", &["account"], &["mcp:mail/send_message"]),
    ]
}

async fn names(task: &str, meaning: Option<&Meaning>) -> Vec<String> {
    let tools = tools();
    let found = ToolIndex::new(&tools).search(task, 2, meaning).await;
    found.places.into_iter().map(|(place, _)| tools[place].name.clone()).collect()
}

/// Knows two directions: what is about letters, and everything else.
struct Letters {
    model: EmbeddingModel,
    asked: Arc<AtomicUsize>,
    fails: bool,
}

impl Letters {
    fn new(asked: &Arc<AtomicUsize>, fails: bool) -> Arc<Self> {
        let model = EmbeddingModel { name: "letters".to_owned(), dimension: 2 };
        Arc::new(Self { model, asked: Arc::clone(asked), fails })
    }
}

impl Embedder for Letters {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    fn embed<'a>(&'a self, texts: &'a [String], _: EmbedPurpose) -> BoxFuture<'a, Result<Vec<Vec<f32>>, String>> {
        self.asked.fetch_add(texts.len(), Ordering::Relaxed);
        let is_letter = |text: &String| ["mail", "correspondence"].iter().any(|word| text.contains(word));
        let vector = move |text| if is_letter(text) { vec![1.0, 0.0] } else { vec![0.0, 1.0] };
        let vectors = if self.fails { Err("down".to_owned()) } else { Ok(texts.iter().map(vector).collect()) };
        Box::pin(std::future::ready(vectors))
    }
}

#[tokio::test]
async fn words_of_names_descriptions_and_arguments_find_tools() {
    assert_eq!(names("commit my work", None).await, ["mcp:git/commit"]);
    assert_eq!(names("send somebody an email message", None).await[0], "mcp:mail/send_message");
    assert_eq!(names("which account", None).await, ["mcp:mail/login"]);
    assert!(names("paint a picture", None).await.is_empty());
}

#[tokio::test]
async fn meaning_finds_what_words_do_not_and_is_computed_once() {
    let directory = tempfile::tempdir().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    for texts in [9, 10] {
        // The second time another process finds the vectors in the file; the task alone is embedded.
        let meaning = Meaning::new(Letters::new(&asked, false), Some(directory.path().to_owned()));
        let found = names("correspondence", Some(&meaning)).await;
        assert!(found.iter().all(|name| name.starts_with("mcp:mail/")), "{found:?}");
        assert_eq!(asked.load(Ordering::Relaxed), texts);
    }
    let file = fs_err::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    fs_err::write(file, "damaged").unwrap();
    let meaning = Meaning::new(Letters::new(&asked, false), Some(directory.path().to_owned()));
    assert_eq!(names("correspondence", Some(&meaning)).await.len(), 2);
}

#[tokio::test]
async fn a_model_that_fails_leaves_the_words() {
    let meaning = Meaning::new(Letters::new(&Arc::default(), true), None);
    let tools = tools();
    let found = ToolIndex::new(&tools).search("commit", 3, Some(&meaning)).await;
    assert_eq!(found.places.len(), 1);
    assert!(found.note.unwrap().contains("down"));
}

#[test]
fn a_tool_on_one_line() {
    let tools = tools();
    assert_eq!(signature(&tools[0]), "mcp:git/commit(message, all?)");
    assert_eq!(summary(&tools[2]), "Sends an e-mail");
    assert_eq!(summary(&tool("x", &"long ".repeat(60), &[], &[])).chars().count(), 160);
}

#[test]
fn what_comes_before_is_in_order_and_circles_are_cut() {
    let tools = [
        tool("deploy", "", &[], &["test", "login"]),
        tool("test", "", &[], &["build", "absent"]),
        tool("build", "", &[], &[]),
        tool("login", "", &[], &["deploy"]),
    ];
    assert_eq!(dependencies(&tools, "deploy"), ["build", "test", "login"]);
    assert!(dependencies(&tools, "build").is_empty());
    assert!(dependencies(&tools, "unknown").is_empty());
}
