//! Where results and remarks go: data to standard output, talk to standard error.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

use prost::{Message, Name};
use rustix::termios::tcgetwinsize;
use votum_machine::WallTime;
use votum_wire::json;

use crate::{
    args::{Colour, Format, Global, OutputFormat},
    display::{encoding, frame::Size, paint::Paint},
    fault::Fault,
};

/// The two streams of a command, and how they like their text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// For whom results are printed.
    pub format: Format,
    /// How exactly.
    pub output: OutputFormat,
    /// Whether results are coloured.
    pub paint: Paint,
    quiet: bool,
}

impl Screen {
    /// Looks at options, environment and terminal.
    pub(crate) fn new(global: &Global) -> Self {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let wanted = match global.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto if set("NO_COLOR") => false,
            Colour::Auto if set("CLICOLOR_FORCE") => true,
            Colour::Auto => io::stdout().is_terminal() && env::var("TERM").as_deref() != Ok("dumb"),
        };
        let paint = if wanted { Paint::On } else { Paint::Off };
        let output = global.output_format();
        Self { format: output.format(), output, paint, quiet: global.quiet }
    }

    /// Writes a message as programs want it.
    pub(crate) fn encode<M: Message + Name>(&self, message: &M) -> String {
        self.document(&json::to_json_pretty(message))
    }

    /// Writes a JSON document as programs want it.
    pub(crate) fn document(&self, json: &str) -> String {
        match self.output {
            OutputFormat::Yaml => encoding::yaml(json),
            OutputFormat::Jsonl => encoding::lines(json),
            OutputFormat::Json | OutputFormat::Table | OutputFormat::Wide | OutputFormat::Name => {
                json.to_owned()
            }
        }
    }

    /// Returns how wide tables may be; none: as wide as they are.
    pub(crate) fn width(&self) -> Option<usize> {
        let fits = self.output == OutputFormat::Table && io::stdout().is_terminal();
        let size = tcgetwinsize(io::stdout()).ok().filter(|_| fits)?;
        Some(usize::from(size.ws_col)).filter(|width| *width > 0)
    }

    /// Prints a piece of the result.
    pub(crate) fn result(&self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Prints a remark, unless only the result is wanted.
    pub(crate) fn remark(&self, text: &str) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let mut err = io::stderr().lock();
        err.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            err.write_all(b"\n")?;
        }
        err.flush()
    }

    /// Prints why a command failed.
    pub(crate) fn fault(&self, fault: &Fault) -> io::Result<()> {
        let text = match self.format {
            Format::Json => fault.json(),
            Format::Table | Format::Name => {
                let text = fault.to_string();
                // A refused job file brings its own headings.
                if text.starts_with("error: ") { text } else { format!("error: {text}") }
            }
        };
        writeln!(io::stderr().lock(), "{text}")
    }

    /// Returns the size of the terminal, if pictures can be drawn on it.
    pub(crate) fn terminal(&self) -> Option<Size> {
        let drawn = self.format == Format::Table
            && !self.quiet
            && io::stdout().is_terminal()
            && env::var("TERM").as_deref() != Ok("dumb");
        if !drawn {
            return None;
        }
        let size =
            tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
        Some(size.map_or(Size { height: 24, width: 80 }, |size| Size {
            height: usize::from(size.ws_row),
            width: usize::from(size.ws_col),
        }))
    }

    /// Says whether remarks on the way are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }
}

/// Returns the time of day, to show how long ago something was.
pub(crate) fn now() -> WallTime {
    WallTime(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0))
}
