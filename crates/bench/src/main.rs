//! Measures Masque, with its peers in the same run, and writes the figures as Markdown.
//!
//! Owns the command line and the order of the benchmarks; each benchmark has a file of its own. Nothing here judges by
//! time: a missed goal is printed as missed, and the exit code stays 0.

mod activation;
mod decision;
mod discovery;
mod egress;
mod embedding;
mod figures;
mod fleet;
mod footprint;
mod fork;
mod freshness;
mod gateway;
mod handoff;
mod home;
mod job;
mod jobs;
mod many;
mod places;
mod process;
mod retrieval;
mod sandbox;
mod start;
mod statistics;
mod steps;
mod vectors;
mod waiting;
mod world;

use std::{path::PathBuf, time::Instant};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use crate::{figures::Section, job::Job, places::Places};

/// Measures Masque, with its peers in the same run
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure; everything when absent
    chosen: Vec<Chosen>,
    /// Markdown file whose figures are replaced
    #[arg(long, conflicts_with = "chosen", value_name = "FILE")]
    write: Option<PathBuf>,
    /// Directory in which peers are installed
    #[arg(long, env = "XDG_CACHE_HOME", value_name = "DIR")]
    cache: Option<PathBuf>,
    #[command(flatten)]
    retrieval: retrieval::Options,
    /// One measured piece of work, as a process of its own
    #[arg(long, hide = true)]
    job: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Chosen {
    Start,
    Steps,
    Waiting,
    Fork,
    Many,
    Decision,
    Handoff,
    Jobs,
    Sandbox,
    Egress,
    Activation,
    Home,
    Gateway,
    Embedding,
    Discovery,
    Freshness,
    Fleet,
    Footprint,
    Retrieval,
    Vectors,
}

impl Chosen {
    fn measure(self, places: &Places, retrieval: &retrieval::Options) -> anyhow::Result<Section> {
        match self {
            Self::Start => start::measure(places),
            Self::Steps => steps::measure(places),
            Self::Waiting => waiting::measure(places),
            Self::Fork => fork::measure(places),
            Self::Many => many::measure(places),
            Self::Decision => Ok(decision::measure()),
            Self::Handoff => handoff::measure(),
            Self::Jobs => jobs::measure(places),
            Self::Sandbox => sandbox::measure(),
            Self::Egress => egress::measure(places),
            Self::Activation => activation::measure(places),
            Self::Home => home::measure(),
            Self::Gateway => gateway::measure(),
            Self::Embedding => embedding::measure(places),
            Self::Discovery => discovery::measure(places),
            Self::Freshness => freshness::measure(places),
            Self::Fleet => fleet::measure(places),
            Self::Footprint => footprint::measure(places),
            Self::Retrieval => retrieval::measure(places, retrieval),
            Self::Vectors => vectors::measure(places),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(job) = &arguments.job {
        let job: Job = serde_json::from_str(job).context("--job is not one of this program's own jobs")?;
        return say(&job.run()?);
    }
    let places = Places::find(arguments.cache)?;
    let chosen = if arguments.chosen.is_empty() { Chosen::value_variants() } else { &arguments.chosen };
    let mut text = String::new();
    for chosen in chosen {
        let begun = Instant::now();
        let section = chosen.measure(&places, &arguments.retrieval)?.to_string();
        say(&format!("{section}\n({:.0} s)\n", begun.elapsed().as_secs_f64()))?;
        text.push_str(&section);
    }
    match arguments.write {
        Some(file) => figures::replace_in(&file, &figures::page(&text, &places)),
        None => Ok(()),
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
