//! `masque fleet logs`: what services print.

use std::{collections::BTreeMap, path::PathBuf};

use masque_app::{
    Error,
    fleet::{Answer, Client, ClientError, LogLine, Place, model::ServiceId},
};
use masque_types::time::Timestamp;

use super::{Context, Part, known_place};
use crate::{exit::Exit, render};

/// Lines of each service that the next supervisor is asked for, to find those that were not shown yet.
const AGAIN: usize = 1_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Names of services; all when absent
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Go on with what is printed from now on, until interrupted; a file is named with --file
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
    let place = known_place(context, arguments.part.asked(&arguments.file))?;
    let mut printed = render::fleet::Lines::new(arguments.services.len() != 1, arguments.json);
    let mut client = match place.connect().await {
        Ok(client) => client,
        Err(absent) => return without_supervisor(&place, &arguments, &mut printed, absent),
    };
    if arguments.follow {
        return tokio::select! {
            _ = tokio::signal::ctrl_c() => Ok(Exit::Success),
            ended = follow(&place, client, &arguments, &mut printed) => ended,
        };
    }
    for line in client.logs(arguments.services, arguments.lines).await? {
        printed.show(&line);
    }
    Ok(Exit::Success)
}

/// Shows what the files hold. Where they hold nothing, that nobody runs is the answer.
fn without_supervisor(
    place: &Place,
    arguments: &Arguments,
    printed: &mut render::fleet::Lines,
    absent: Error,
) -> Result<Exit, Error> {
    let lines = place.printed(&arguments.services, arguments.lines)?;
    if lines.is_empty() {
        return Err(absent);
    }
    lines.iter().for_each(|line| printed.show(line));
    render::note(&format!("{absent}; this is what its services printed before"));
    Ok(Exit::Success)
}

/// Shows lines as they are printed, also when the supervisor is replaced, until the fleet is down.
async fn follow(
    place: &Place,
    mut client: Client,
    arguments: &Arguments,
    printed: &mut render::fleet::Lines,
) -> Result<Exit, Error> {
    let mut seen = Seen::default();
    let mut lines = arguments.lines;
    loop {
        match each_line(&mut client, arguments, lines, &mut seen, printed).await {
            Err(ClientError::Gone) => {}
            ended => return ended.map(|()| Exit::Success).map_err(Error::from),
        }
        match place.reconnect().await? {
            Some(next) => client = next,
            None => break,
        }
        lines = AGAIN.max(lines);
        seen.begin_again();
    }
    render::fleet::down(place);
    Ok(Exit::Success)
}

async fn each_line(
    client: &mut Client,
    arguments: &Arguments,
    lines: usize,
    seen: &mut Seen,
    printed: &mut render::fleet::Lines,
) -> Result<(), ClientError> {
    client.follow_logs(arguments.services.clone(), lines).await?;
    while let Some(answer) = client.next().await? {
        match answer {
            Answer::Line(line) if seen.is_new(&line) => printed.show(&line),
            Answer::Missed(count) => render::note(&format!("{count} lines were too fast to be shown")),
            _ => {}
        }
    }
    Ok(())
}

/// What was shown, so that the next supervisor's lines go on where the last one's ended: the time of each service's last
/// line, and how many it had of that time.
#[derive(Debug, Default)]
struct Seen {
    last: BTreeMap<ServiceId, (Timestamp, usize)>,
    /// How many of that time were told again.
    again: BTreeMap<ServiceId, usize>,
    is_again: bool,
}

impl Seen {
    fn begin_again(&mut self) {
        self.again.clear();
        self.is_again = true;
    }

    fn is_new(&mut self, line: &LogLine) -> bool {
        let (at, count) = self.last.entry(line.id.clone()).or_insert((line.at, 0));
        if line.at < *at && self.is_again {
            return false;
        }
        let again = self.again.entry(line.id.clone()).or_default();
        if line.at != *at {
            (*at, *count, *again) = (line.at, 0, 0);
        }
        *again += 1;
        let is_new = *again > *count;
        *count = (*count).max(*again);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_shown_twice_or_left_out_when_the_supervisor_is_replaced() {
        let line = |at, text: &str| LogLine { id: ServiceId::new("h", "a"), at: Timestamp(at), text: text.to_owned() };
        let mut seen = Seen::default();
        let first = [line(1, "a"), line(2, "b"), line(2, "c")];
        assert!(first.iter().all(|line| seen.is_new(line)));
        seen.begin_again();
        let told = [line(1, "a"), line(2, "b"), line(2, "c"), line(2, "d"), line(3, "e")];
        let shown: Vec<&str> = told.iter().filter(|line| seen.is_new(line)).map(|line| line.text.as_str()).collect();
        assert_eq!(shown, ["d", "e"]);
    }
}
