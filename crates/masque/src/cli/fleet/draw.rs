//! `masque fleet graph`: what needs what, as text or as a drawing.

use std::{collections::BTreeMap, path::PathBuf};

use masque_app::{
    Error,
    fleet::{Manifest, graph::Graph, model::ServiceId, status::State},
};
use serde_json::json;

use super::{Context, Which, read};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct Form {
    /// Draw it as SVG into a file; `-` for standard output
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print it for Graphviz
    #[arg(long)]
    dot: bool,
    /// Print it for Mermaid
    #[arg(long)]
    mermaid: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Error> {
    let manifest = read(context, arguments.which.asked())?;
    let fleet = &manifest.part()?;
    let graph = Graph::of(fleet);
    let form = &arguments.form;
    if form.json {
        render::json(&edges(&graph));
        return Ok(Exit::Success);
    }
    let states = states(context, &manifest).await;
    match &form.svg {
        Some(file) if file.as_os_str() == "-" => render::text(&graph.svg(fleet, &states)),
        Some(file) => fs_err::write(context.directory.join(file), graph.svg(fleet, &states))?,
        None if form.dot => render::text(&graph.dot(fleet, &states)),
        None if form.mermaid => render::text(&graph.mermaid(fleet, &states)),
        None => return waves(&graph, &states),
    }
    Ok(Exit::Success)
}

/// Where services stand, if a supervisor tells.
async fn states(context: &Context, manifest: &Manifest) -> BTreeMap<ServiceId, State> {
    let told = async { manifest.place(&context.host)?.connect().await?.status().await.map_err(Error::from) };
    let services = told.await.map(|status| status.hosts).unwrap_or_default().into_iter().flat_map(|host| host.services);
    services.map(|service| (service.id, service.state)).collect()
}

fn waves(graph: &Graph, states: &BTreeMap<ServiceId, State>) -> Result<Exit, Error> {
    match graph.waves() {
        Ok(waves) => {
            render::fleet::waves(graph, &waves, states);
            Ok(Exit::Success)
        }
        Err(cycles) => {
            let named: Vec<String> = cycles.iter().map(ToString::to_string).collect();
            Err(Error::usage(format!("services wait for each other: {}", named.join("; ")))
                .hint("take one of these dependencies away, or make it `required = false`"))
        }
    }
}

fn edges(graph: &Graph) -> serde_json::Value {
    let edge = |edge: &masque_app::fleet::graph::Edge| {
        json!({
            "from": edge.from, "to": edge.to, "asked": edge.asked, "condition": edge.condition,
            "required": edge.required,
        })
    };
    json!({ "services": graph.services(), "edges": graph.edges().iter().map(edge).collect::<Vec<_>>() })
}
