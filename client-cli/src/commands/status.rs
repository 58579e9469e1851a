//! `votum status`: the cluster on one screen.

use votum_wire::{Translate as _, json};

use crate::{
    args::Format,
    context::{Context, Patience},
    display,
    exit::Exit,
    fault::Outcome,
    screen,
};

/// Prints how the cluster fares.
pub(crate) async fn run(context: &Context) -> Outcome {
    let view = context.client(Patience::Short)?.cluster().await?;
    let address = &context.global.address;
    context.screen.result(&match context.screen.format {
        Format::Json => json::to_json_pretty(&view.to_proto()),
        Format::Name => view.cluster.to_string(),
        Format::Table => {
            display::cluster::status(&view, address, screen::now(), context.screen.paint)
        }
    })?;
    Ok(Exit::Done)
}
