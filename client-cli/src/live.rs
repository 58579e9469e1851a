//! Draws a picture in place: the lines of the last one are taken back first.

use std::io::{self, Write as _};

/// The place on the terminal.
#[derive(Debug, Default)]
pub(crate) struct Live {
    lines: usize,
}

impl Live {
    /// Draws the lines where the last ones stood.
    pub(crate) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let mut text = self.taken_back();
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        self.lines = lines.len();
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    fn taken_back(&self) -> String {
        match self.lines {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        }
    }
}
