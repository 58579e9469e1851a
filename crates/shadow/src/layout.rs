//! Where everything lies: identifiers to names of files, and back. Pure.

use serde::{Deserialize, Serialize};
use votum_ids::{AttemptId, CheckpointId, Epoch, FencingToken, JobId, OutputName, TaskId};

/// The folder in every publish root that belongs to Votum.
pub(crate) const VOTUM: &str = ".votum";
/// Below [`VOTUM`]: the immutable contents that targets point to.
pub(crate) const GENERATIONS: &str = "gen";
/// Below [`VOTUM`]: which generations each target has had, by the time their jobs were over.
pub(crate) const TARGETS: &str = "targets";
/// Of a target: a link whose text is its path below the root, for people.
pub(crate) const TARGET_TEXT: &str = "path";
/// In place of a link to an earlier generation: nothing stood at the target.
pub(crate) const NOTHING: &str = "nothing";
/// Of an attempt: scratch of the program, its working directory.
pub(crate) const WORK: &str = "work";
/// Of an attempt: where the program leaves its outputs.
pub(crate) const OUT: &str = "out";
/// Of an attempt: what it reads.
pub(crate) const INPUTS: &str = "inputs";
/// Of an attempt: its resumable state, which the program replaces as it goes on.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// Of an attempt: where the program asks for a checkpoint, and is answered.
pub(crate) const ASKS: &str = "asks";
/// Of a checkpoint: the state itself.
pub(crate) const STATE: &str = "state";
/// Of a checkpoint: what the state consists of.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Of an attempt: what was sealed, written last.
pub(crate) const SEALED: &str = "sealed.json";
/// Of an attempt: [`SEALED`] while it is being written.
pub(crate) const SEALED_DRAFT: &str = "sealed.json.new";

/// Names the folder of an attempt within that of its job.
pub(crate) fn attempt_name(attempt: &AttemptId) -> String {
    format!("{}.{}", attempt.task, attempt.token)
}

/// Names the folder of an attempt below the staging directory.
pub(crate) fn attempt_path(attempt: &AttemptId) -> String {
    format!("{}/{}", attempt.job, attempt_name(attempt))
}

/// Reads back what [`attempt_name`] wrote, in that very spelling only.
pub(crate) fn parse_attempt(job: &JobId, name: &str) -> Option<AttemptId> {
    let mut parts = name.splitn(3, '.');
    let task = TaskId::new(parts.next()?).ok()?;
    let epoch = Epoch(parts.next()?.parse().ok()?);
    let counter = parts.next()?.parse().ok()?;
    let token = FencingToken { epoch, counter };
    let attempt = AttemptId { job: job.clone(), task, token };
    (attempt_name(&attempt) == name).then_some(attempt)
}

/// Names a checkpoint within the folder of its task.
pub(crate) fn checkpoint_name(id: &CheckpointId) -> String {
    format!("{}.{}", id.attempt.token, id.sequence)
}

/// Names a checkpoint below the folder of all checkpoints.
pub(crate) fn checkpoint_path(id: &CheckpointId) -> String {
    format!("{}/{}/{}", id.attempt.job, id.attempt.task, checkpoint_name(id))
}

/// Reads back what [`checkpoint_name`] wrote, in that very spelling only.
pub(crate) fn parse_checkpoint(job: &JobId, task: &TaskId, name: &str) -> Option<CheckpointId> {
    let mut parts = name.splitn(3, '.');
    let epoch = Epoch(parts.next()?.parse().ok()?);
    let token = FencingToken { epoch, counter: parts.next()?.parse().ok()? };
    let attempt = AttemptId { job: job.clone(), task: task.clone(), token };
    let id = CheckpointId { attempt, sequence: parts.next()?.parse().ok()? };
    (checkpoint_name(&id) == name).then_some(id)
}

/// Names one published content: of one output of one task of one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskId,
    /// The output.
    pub output: OutputName,
}

impl Generation {
    pub(crate) fn new(attempt: &AttemptId, output: &OutputName) -> Self {
        Self { job: attempt.job.clone(), task: attempt.task.clone(), output: output.clone() }
    }

    /// Names it within the folder of its job.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.task, self.output)
    }

    /// Names what stood at the target before, the `n`-th time it was ordinary.
    pub(crate) fn name_before(&self, n: u32) -> String {
        match n {
            0 => format!("{}.before", self.name()),
            n => format!("{}.before.{n}", self.name()),
        }
    }

    /// Names the note of what stood at the target before: the link, or [`NOTHING`].
    pub(crate) fn name_of_earlier(&self) -> String {
        format!("{}.earlier", self.name())
    }

    /// Names the claim of one of its publishers.
    pub(crate) fn name_of_claim(&self, number: u64) -> String {
        format!("{}{number}", self.prefix_of_claims())
    }

    /// Begins the names of all claims.
    pub(crate) fn prefix_of_claims(&self) -> String {
        format!("{}.publisher.", self.name())
    }

    /// Names what tells what it consists of, once its staging is gone.
    pub(crate) fn name_of_manifest(&self) -> String {
        format!("{}.manifest.json", self.name())
    }

    /// Names what is left of it while it is being removed, within [`VOTUM`].
    pub(crate) fn name_retired(&self) -> String {
        format!("retired.{}.{}", self.job, self.name())
    }

    /// Returns where the folder of its job lies below its publish root.
    pub(crate) fn shelf_path(&self) -> String {
        format!("{VOTUM}/{GENERATIONS}/{}", self.job)
    }

    /// Returns where it lies below its publish root.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.shelf_path(), self.name())
    }

    /// Names the link while it is not yet at the target, within [`VOTUM`].
    pub(crate) fn link_draft(&self) -> String {
        format!("link.{}.{}", self.job, self.name())
    }

    /// Returns the text of a link that stands `depth` directories below the root.
    ///
    /// It is relative, so that a root may be mounted elsewhere.
    pub(crate) fn link_text(&self, depth: usize) -> String {
        format!("{}{}", "../".repeat(depth), self.path())
    }
}

/// Names a generation below the folder of all of them.
pub(crate) fn generation_path(generation: &Generation) -> String {
    format!("{}/{}", generation.job, generation.name())
}

/// Reads back which generation of its own root the text of a link leads to.
pub(crate) fn parse_generation(link_text: &[u8]) -> Option<Generation> {
    if !leads_to_generation(link_text) {
        return None;
    }
    let text = std::str::from_utf8(link_text).ok()?;
    let mut parts = text.rsplitn(3, '/');
    let (task, output) = parts.next()?.split_once('.')?;
    let generation = Generation {
        task: TaskId::new(task).ok()?,
        output: OutputName::new(output).ok()?,
        job: JobId::new(parts.next()?).ok()?,
    };
    text.ends_with(&generation.path()).then_some(generation)
}

/// Names the folder of a target, whatever its path has in it.
pub(crate) fn target_name(below_root: &str) -> String {
    let digest = blake3::hash(below_root.as_bytes()).to_hex();
    digest[..TARGET_NAME_CHARS].to_owned()
}

/// Returns where the folder of a target lies below its publish root.
pub(crate) fn target_path(below_root: &str) -> String {
    format!("{VOTUM}/{TARGETS}/{}", target_name(below_root))
}

/// Tells whether a link's text leads to a generation of its own root.
pub(crate) fn leads_to_generation(link_text: &[u8]) -> bool {
    let mut text = link_text;
    while let Some(rest) = text.strip_prefix(b"../") {
        text = rest;
    }
    text.strip_prefix(VOTUM.as_bytes())
        .and_then(|rest| rest.strip_prefix(b"/"))
        .and_then(|rest| rest.strip_prefix(GENERATIONS.as_bytes()))
        .is_some_and(|rest| rest.starts_with(b"/"))
}

/// Of the digest of a target's path: enough that no two are ever the same.
const TARGET_NAME_CHARS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> AttemptId {
        AttemptId {
            job: JobId::new("sales-7").unwrap(),
            task: TaskId::new("load_rows").unwrap(),
            token: FencingToken { epoch: Epoch(3), counter: 12 },
        }
    }

    #[test]
    fn an_attempt_survives_its_folder_name() {
        assert_eq!(attempt_path(&attempt()), "sales-7/load_rows.3.12");
        assert_eq!(parse_attempt(&attempt().job, "load_rows.3.12"), Some(attempt()));
    }

    #[test]
    fn another_spelling_is_no_attempt() {
        let foreign = ["load.3", "load.3.012", "load.+3.1", "load.3.1.2", "Load.3.1", "lost+found"];
        for name in foreign {
            assert_eq!(parse_attempt(&attempt().job, name), None, "{name}");
        }
    }

    #[test]
    fn a_link_leads_to_its_generation_from_any_depth() {
        let generation = Generation::new(&attempt(), &OutputName::new("rows").unwrap());
        assert_eq!(generation.link_text(2), "../../.votum/gen/sales-7/load_rows.rows");
        assert!(leads_to_generation(generation.link_text(0).as_bytes()));
        for depth in 0..3 {
            let text = generation.link_text(depth);
            assert_eq!(parse_generation(text.as_bytes()), Some(generation.clone()));
        }
        for text in ["/etc/passwd", ".votum/gen", "x/.votum/gen/a", "../.votum/other/a"] {
            assert!(!leads_to_generation(text.as_bytes()), "{text}");
        }
        for text in [".votum/gen/a/b", ".votum/gen/a/b.c/d", "/.votum/gen/a/b.c", ".votum/gen/b.c"]
        {
            assert_eq!(parse_generation(text.as_bytes()), None, "{text}");
        }
    }
}
