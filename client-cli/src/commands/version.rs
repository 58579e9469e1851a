//! `votum version`.

use serde_json::json;

use crate::{args::Format, context::Context, exit::Exit, fault::Outcome};

/// Prints the version of this program.
pub(crate) fn run(context: &Context) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    context.screen.result(&match context.screen.format {
        Format::Table => format!("votum {version}"),
        Format::Json => json!({ "version": version }).to_string(),
        Format::Name => version.to_owned(),
    })?;
    Ok(Exit::Done)
}
