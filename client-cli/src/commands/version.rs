//! `votum version`.

use serde_json::json;

use crate::{args::Format, context::Context, exit::Exit, fault::Outcome};

/// Prints the version of this program, and the revision that it was built of if that is known.
pub(crate) fn run(context: &Context) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    context.screen.result(&match context.screen.format {
        Format::Table => format!("votum {BUILD}"),
        Format::Json => {
            let revision = Some(env!("VOTUM_REVISION")).filter(|revision| !revision.is_empty());
            json!({ "version": version, "revision": revision }).to_string()
        }
        Format::Name => version.to_owned(),
    })?;
    Ok(Exit::Done)
}

/// The version, and what it was built of.
pub(crate) const BUILD: &str = env!("VOTUM_BUILD");
