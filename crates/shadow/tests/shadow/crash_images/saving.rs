//! Checkpoints of a running attempt.

use votum_crashimage::{Image, scratch};
use votum_ids::{CheckpointId, FencingToken};
use votum_shadow::{Checkpoints, Shadow};

use super::{Scene, attempt_of, ensure, read, told};

pub(super) fn scene() -> Result<Scene, String> {
    Scene::record("saving", scratch(), "checkpointing", None, judge)
}

fn judge(image: &Image<'_>) -> Result<(), String> {
    let shadow = told("open", Shadow::open(&image.folder.join("staging"), &[]))?;
    let checkpoints = told("open", Checkpoints::open(&image.folder.join("checkpoints")))?;
    let attempt = attempt_of("sales");
    for sequence in 1..=2 {
        let promise = format!("saved {sequence}");
        let id = CheckpointId { attempt: attempt.clone(), sequence };
        let manifest = told("the list of what was saved", checkpoints.manifest(&id))?;
        let Some(manifest) = manifest else {
            let is_promised = image.promises.contains(&promise.as_str());
            ensure(!is_promised, || format!("checkpoint {sequence} is lost"))?;
            continue;
        };
        // What has a number is whole, whether anybody was told of it or not.
        let token = FencingToken { counter: 1 + sequence, ..attempt.token };
        let later =
            told("stage", shadow.stage(&votum_ids::AttemptId { token, ..attempt.clone() }))?;
        told("restore", checkpoints.restore(&id, manifest.digest(), &later))?;
        let page = read(&later.checkpoint_dir().join("page"));
        ensure(page == Some(sequence.to_string()), || format!("{sequence}: {page:?}"))?;
    }
    told("sweep", checkpoints.sweep(&|_| true))
}
