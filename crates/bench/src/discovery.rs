//! Finding tools instead of showing them: what both take of the context, and whether the right tool is found.

use std::sync::Arc;

use masque_embed::MiniLm;
use masque_memory::tools::{Meaning, ToolIndex, signature, summary};
use masque_tools::host::discovery;
use masque_types::tool::{EffectClass, Place as Where, ToolSpec};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    figures::{Row, Section, Unit},
    job,
    places::Places,
};

/// The tools and tasks of the track T6.
const TOOLS: &str = include_str!("../data/retrieval/tools.jsonl");
const TASKS: &str = include_str!("../data/retrieval/tool-tasks.jsonl");

/// Tools that a search gives, as the tool does when no number is asked for.
const USUAL: usize = 8;

#[derive(Debug, Deserialize)]
struct WrittenTool {
    server: String,
    name: String,
    description: String,
    #[serde(default)]
    parameters: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct WrittenTask {
    question: String,
    /// Any of them is right.
    answers: Vec<String>,
}

fn lines<T: DeserializeOwned>(text: &str) -> serde_json::Result<Vec<T>> {
    text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str).collect()
}

/// Measures the written tasks over the written tools.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let tools: Vec<ToolSpec> = lines(TOOLS)?.iter().map(spec).collect();
    let tasks: Vec<WrittenTask> = lines(TASKS)?;
    let meaning = places.minilm().ok().map(|directory| MiniLm::load(&directory)).transpose()?;
    let meaning = meaning.map(|model| Meaning::new(Arc::new(model), Some(places.retrieval())));
    let index = ToolIndex::new(&tools);
    let runtime = job::runtime()?;
    let mut words = Recall::default();
    let mut fused = Recall::default();
    let mut answer_tokens = Vec::new();
    for WrittenTask { question: task, answers } in &tasks {
        let by_words = runtime.block_on(index.search(task, USUAL, None));
        words.count(&tools, &by_words.places, answers);
        if meaning.is_some() {
            let found = runtime.block_on(index.search(task, USUAL, meaning.as_ref()));
            anyhow::ensure!(found.note.is_none(), "the model failed: {:?}", found.note);
            fused.count(&tools, &found.places, answers);
            answer_tokens.push(answer(&tools, &found.places, answers));
        }
    }
    let shown: u64 = tools.iter().map(tokens).sum();
    let of_servers: u64 = tools.iter().filter(|tool| tool.name.starts_with("mcp:")).map(tokens).sum();
    let core = shown - of_servers + tokens(&discovery::search_spec()) + tokens(&discovery::describe_spec());
    let one_task = answer_tokens.iter().sum::<u64>() as f64 / answer_tokens.len().max(1) as f64;
    let mut rows = vec![
        Row::new(format!("tokens of {} tools that are all shown", tools.len()), Unit::Count, shown as f64),
        Row::new("tokens with discovery, before a task", Unit::Count, core as f64),
        Row::new("the right tool among the first five, by words", Unit::Quality, words.share()),
    ];
    if meaning.is_some() {
        let with_task = core as f64 + one_task;
        rows.push(Row::new("tokens with discovery, a search and its tool", Unit::Count, with_task));
        rows.push(
            Row::new("the right tool among the first five, words and meaning", Unit::Quality, fused.share())
                .at_least(0.95),
        );
    }
    Ok(Section {
        title: "Tool discovery",
        command: "make bench ARGS=discovery",
        about: format!(
            "{} written tasks over {} tools of servers and built-in ones. Tokens are estimated as everywhere in Masque, a \
             fourth of the bytes of descriptions and schemas; the schemas here have no descriptions of their arguments, so \
             that real ones take more.",
            tasks.len(),
            tools.len()
        ),
        rows,
    })
}

fn spec(tool: &WrittenTool) -> ToolSpec {
    let properties: serde_json::Map<_, _> =
        tool.parameters.iter().map(|name| (name.clone(), json!({ "type": "string" }))).collect();
    let is_ours = tool.server == "masque";
    ToolSpec {
        name: if is_ours { tool.name.clone() } else { format!("mcp:{}/{}", tool.server, tool.name) },
        description: tool.description.clone(),
        input_schema: json!({ "type": "object", "properties": properties }),
        output_schema: None,
        effect: EffectClass::Once,
        place: Where::Remote,
        depends_on: Vec::new(),
    }
}

fn tokens(tool: &ToolSpec) -> u64 {
    ((tool.description.len() + tool.input_schema.to_string().len()) as u64).div_ceil(4)
}

/// What a search and one description add to the context.
fn answer(tools: &[ToolSpec], found: &[(usize, f32)], answers: &[String]) -> u64 {
    let line = |tool: &ToolSpec| (signature(tool).len() + summary(tool).len() + 5) as u64;
    let lines: u64 = found.iter().filter_map(|(place, _)| tools.get(*place)).map(line).sum();
    let right = tools.iter().find(|tool| answers.contains(&written_name(tool)));
    // Its description is said once in the answer, and stands with its schema among the tools from then on.
    let described = right.map_or(0, |tool| tokens(tool) + (tool.description.len() as u64).div_ceil(4));
    lines.div_ceil(4) + described
}

/// As the tasks name it: `server/name`.
fn written_name(tool: &ToolSpec) -> String {
    tool.name.strip_prefix("mcp:").map_or_else(|| format!("masque/{}", tool.name), str::to_owned)
}

#[derive(Default)]
struct Recall {
    right: usize,
    asked: usize,
}

impl Recall {
    fn count(&mut self, tools: &[ToolSpec], found: &[(usize, f32)], answers: &[String]) {
        self.asked += 1;
        let first = found.iter().take(5).filter_map(|(place, _)| tools.get(*place));
        self.right += usize::from(first.map(written_name).any(|name| answers.contains(&name)));
    }

    fn share(&self) -> f64 {
        self.right as f64 / self.asked.max(1) as f64
    }
}
