//! `masque fleet top`: the fleet on the whole screen.

use masque_app::Error;

use super::{Context, Which, place};
use crate::{exit::Exit, fleet_screen};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
}

pub(crate) async fn run(context: Context, arguments: Arguments) -> Result<Exit, Error> {
    let place = place(&context, arguments.which.asked())?;
    fleet_screen::run(context, place).await
}
