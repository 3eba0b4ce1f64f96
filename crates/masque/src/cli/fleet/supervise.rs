//! `masque fleet supervise`: what runs in the background. Hidden: people use `masque fleet up -d`.

use masque_app::{
    Error,
    fleet::{Begin, handed_variables},
};
use tokio_util::sync::CancellationToken;

use super::{Context, Which, place};
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Start the supervisor as a process of its own, and again when it is killed
    #[arg(long, conflicts_with = "begin")]
    keep: bool,
    /// What is wanted at first
    #[arg(long, value_enum, default_value_t)]
    begin: Wanted,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Wanted {
    /// Everything is to run
    #[default]
    Up,
    /// What the last supervisor wanted
    Resume,
}

pub(crate) async fn run(context: Context, arguments: Arguments) -> Result<Exit, Error> {
    let mut asked = arguments.which.asked();
    asked.variables.extend(handed_variables(&context.host)?);
    let place = place(&context, asked)?;
    if arguments.keep {
        return Ok(Exit::of_code(place.keep(&context.host, &context.settings).await?));
    }
    let begin = match arguments.begin {
        Wanted::Up => Begin::Up,
        Wanted::Resume => Begin::Resume,
    };
    place.supervise(&context.host, &context.settings, (begin, false), CancellationToken::new()).await?;
    Ok(Exit::Success)
}
