//! Seals the next checkpoint of one attempt, as a worker would after a restart.
//!
//! `checkpointing <base>` says what is durable, and works in `<base>/staging` and `<base>/checkpoints`.

#![allow(clippy::print_stdout, reason = "an example for tests to read")]

use std::{error::Error, fs, path::PathBuf};

use votum_ids::{AttemptId, CheckpointId, Epoch, FencingToken, JobId, TaskId};
use votum_shadow::{Checkpoints, Scope, Shadow};

fn main() -> Result<(), Box<dyn Error>> {
    let base = PathBuf::from(std::env::args().nth(1).ok_or("usage: checkpointing <base>")?);
    let shadow = Shadow::open(&base.join("staging"), &[])?;
    let checkpoints = Checkpoints::open(&base.join("checkpoints"))?;
    let attempt = AttemptId {
        job: JobId::new("sales")?,
        task: TaskId::new("report")?,
        token: FencingToken { epoch: Epoch(1), counter: 1 },
    };
    let staging = shadow.stage(&attempt).or_else(|_| shadow.reopen(&attempt))?;
    for sequence in 1..=2 {
        let id = CheckpointId { attempt: attempt.clone(), sequence };
        fs::write(staging.checkpoint_dir().join("page"), sequence.to_string())?;
        if checkpoints.manifest(&id)?.is_none() {
            checkpoints.seal(&id, &staging, Scope::State, 1 << 20)?;
        }
        println!("saved {sequence}");
    }
    Ok(())
}
