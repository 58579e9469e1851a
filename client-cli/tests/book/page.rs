//! What of a page is typed, saved and waited for.

/// A page of a document.
#[derive(Debug)]
pub(crate) struct Page {
    /// In the order of the page.
    pub pieces: Vec<Piece>,
}

/// Something that a reader does.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Saves a file.
    File {
        /// Below the folder where the session began.
        name: String,
        /// All of it.
        text: String,
    },
    /// Looks again until this succeeds.
    Until(String),
    /// Types a command.
    Command {
        /// Where it stands in the page, from 1.
        line: usize,
        /// Without the prompt.
        command: String,
        /// What the page shows below it.
        told: Vec<String>,
    },
}

impl Page {
    /// Reads the Markdown of a page.
    pub(crate) fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut lines = text.lines().zip(1..).peekable();
        let (mut file, mut left_out) = (None, false);
        while let Some((line, _)) = lines.next() {
            if let Some(name) = remark(line, "file:") {
                file = Some(name);
            } else if let Some(command) = remark(line, "until:") {
                pieces.push(Piece::Until(command));
            } else if remark(line, "not run:").is_some() {
                left_out = true;
            } else if let Some(language) = line.strip_prefix("```") {
                let block = lines.by_ref().take_while(|(line, _)| *line != "```");
                let block: Vec<_> = block.collect();
                if let Some(name) = file.take() {
                    let text = block.iter().map(|(line, _)| format!("{line}\n")).collect();
                    pieces.push(Piece::File { name, text });
                } else if language == "console" && !left_out {
                    pieces.extend(commands(&block));
                }
                left_out = false;
            }
        }
        Self { pieces }
    }

    /// Returns true if the page asks for the exit code of the command in this line.
    pub(crate) fn asks_for_exit_code_after(&self, line: usize) -> bool {
        let is_it = |piece: &Piece| matches!(piece, Piece::Command { line: at, .. } if *at == line);
        let next = self.pieces.iter().skip_while(|piece| !is_it(piece)).nth(1);
        matches!(next, Some(Piece::Command { command, .. }) if command == "echo $?")
    }
}

/// Returns what follows a keyword in a line that only the test reads.
fn remark(line: &str, keyword: &str) -> Option<String> {
    let words = line.strip_prefix("<!--")?.strip_suffix("-->")?;
    Some(words.trim().strip_prefix(keyword)?.trim().to_owned())
}

fn commands(block: &[(&str, usize)]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut unfinished = false;
    for (text, line) in block {
        if let Some(command) = text.strip_prefix("$ ") {
            let (line, command) = (*line, command.to_owned());
            unfinished = command.ends_with('\\');
            pieces.push(Piece::Command { line, command, told: Vec::new() });
        } else if let Some(Piece::Command { command, told, .. }) = pieces.last_mut() {
            if unfinished {
                command.push('\n');
                command.push_str(text);
                unfinished = text.ends_with('\\');
            } else {
                told.push((*text).to_owned());
            }
        }
    }
    pieces
}
