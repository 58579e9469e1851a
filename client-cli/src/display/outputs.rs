//! What a job has made, published or not, one line each.

use votum_wire::{JobView, OutputState};

use super::{
    amount,
    paint::Tone,
    table::{Table, cell},
};

/// Returns every output that was sealed.
pub(crate) fn table(view: &JobView) -> Table {
    let mut table = Table::new(["OUTPUT", "STATE", "WORKER", "SIZE", "FILES", "DIGEST", "TARGET"]);
    for task in &view.tasks {
        for output in &task.outputs {
            table.row([
                cell(format!("{}.{}", task.task, output.output)),
                cell(output.state.word()).tone(tone(output.state)),
                cell(output.worker.as_str()),
                cell(amount::size(output.bytes)).right(),
                cell(output.files.to_string()).right(),
                cell(output.digest.to_string().chars().take(DIGEST_CHARS).collect::<String>())
                    .tone(Tone::Soft),
                cell(output.publish_path.as_deref().unwrap_or("- (for other tasks)")),
            ]);
        }
    }
    table
}

fn tone(state: OutputState) -> Tone {
    match state {
        OutputState::Published => Tone::Good,
        OutputState::Staged | OutputState::Prepared => Tone::Plain,
        OutputState::Discarded => Tone::Soft,
    }
}

/// As many characters of a digest tell two apart; all of them are told by JSON.
const DIGEST_CHARS: usize = 12;
