//! T6: the tool that a task needs, found as `tool_search` finds it: by the words of names and descriptions, and by meaning.

use masque_memory::tools::{Meaning, ToolIndex};
use masque_types::tool::{EffectClass, Place, ToolSpec};
use serde_json::json;

use super::{
    data::Tool,
    library::Setup,
    metrics::{self, Score},
    track::{Split, Track},
};
use crate::figures::{Row, Unit};

const NAME: &str = "T6 tools";
const LIMIT: usize = 10;

/// Asks for the tools of all tasks of a part.
pub(crate) async fn measure(
    tools: &[Tool],
    track: &Track,
    split: Split,
    setup: &Setup<'_>,
) -> anyhow::Result<Vec<Row>> {
    let specs: Vec<ToolSpec> = tools.iter().map(spec).collect();
    let index = ToolIndex::new(&specs);
    let meaning = setup.embedder.clone().map(|embedder| Meaning::new(embedder, None));
    let (mut words, mut both) = (Vec::new(), Vec::new());
    let tasks = track.of(split);
    for task in &tasks {
        for (scores, meaning) in [(&mut words, None), (&mut both, meaning.as_ref())] {
            let found = index.search(&task.text, LIMIT, meaning).await;
            let places: Vec<usize> = found.places.iter().map(|(place, _)| *place).collect();
            scores.push(Score::of(&places, &task.answers));
        }
    }
    let mean = |scores: &[Score], of: fn(&Score) -> f64| metrics::mean(&scores.iter().map(of).collect::<Vec<_>>());
    let row = |what: &str, of: fn(&Score) -> f64| {
        let what = format!("{NAME}: {what} of {} tasks, {} tools", tasks.len(), tools.len());
        Row::new(what, Unit::Quality, mean(&both, of)).beside("words", Ok(mean(&words, of)))
    };
    Ok(vec![
        row("recall@5", |score| score.recall_5).at_least(0.95),
        row("nDCG@10", |score| score.ndcg),
        row("hit@1", |score| score.first),
    ])
}

fn spec(tool: &Tool) -> ToolSpec {
    let properties: serde_json::Map<_, _> =
        tool.parameters.iter().map(|name| (name.clone(), json!({ "type": "string" }))).collect();
    ToolSpec {
        name: if tool.server == "masque" { tool.name.clone() } else { format!("mcp:{}/{}", tool.server, tool.name) },
        description: tool.description.clone(),
        input_schema: json!({ "type": "object", "properties": properties }),
        output_schema: None,
        effect: EffectClass::Once,
        place: Place::Remote,
        depends_on: Vec::new(),
    }
}
