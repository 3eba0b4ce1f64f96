//! `masque fleet logs`: what services print.

use std::path::PathBuf;

use masque_app::{
    Error,
    fleet::{Answer, Request},
};

use super::{Context, Part, place};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Names of services; all when absent
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Go on with what is printed from now on, until interrupted
    #[arg(long, short)]
    follow: bool,
    /// How many of the last lines of each service
    #[arg(long, short = 'n', default_value_t = 20, value_name = "NUMBER")]
    lines: usize,
    /// File that describes the fleet; found from here upward when absent
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    #[command(flatten)]
    part: Part,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Error> {
    let place = place(context, arguments.part.asked(&arguments.file))?;
    let mut client = place.connect().await?;
    let Arguments { services, follow, lines, json, .. } = arguments;
    let names = services.len() != 1;
    client.ask(&Request::Logs { services, lines, follow }).await?;
    let mut printed = render::fleet::Lines::new(names, json);
    loop {
        let answer = tokio::select! {
            answer = client.next() => answer?,
            _ = tokio::signal::ctrl_c(), if follow => return Ok(Exit::Success),
        };
        match answer {
            Some(Answer::Line(line)) => printed.show(&line),
            Some(Answer::Missed(count)) => render::note(&format!("{count} lines were too fast to be shown")),
            Some(_) => {}
            None => return Ok(Exit::Success),
        }
    }
}
