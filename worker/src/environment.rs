//! What a task process sees of the world: its whole environment, and nothing by accident.
//!
//! Later ones win: what the operator lets through, the job's variables, the
//! task's, and at last the protected ones that begin with `VOTUM_`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use votum_ids::{JobId, OutputName};
use votum_job::{Assignment, Expression, Role, mangled};
use votum_machine::WallTime;

use crate::tools::path_with;

/// Where everything of an attempt lies, as its program is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// Scratch, and the working directory.
    pub(crate) work_dir: PathBuf,
    /// Where declared outputs are left.
    pub(crate) output_dir: PathBuf,
    /// Each declared output.
    pub(crate) outputs: BTreeMap<OutputName, PathBuf>,
    /// Where inputs lie that were brought.
    pub(crate) inputs_dir: PathBuf,
    /// Each input.
    pub(crate) inputs: BTreeMap<OutputName, PathBuf>,
    /// Where it keeps the state that a later attempt can go on from.
    pub(crate) checkpoint_dir: PathBuf,
    /// Where it asks for a checkpoint, and is answered.
    pub(crate) asks_dir: PathBuf,
    /// Appears right before SIGTERM, with the reason in it.
    pub(crate) cancel_file: PathBuf,
    /// The program appends to it what it says of itself.
    pub(crate) report: PathBuf,
    /// What an effect or a compensation is told of its job.
    pub(crate) job_file: PathBuf,
    /// One file for each secret that the task names.
    pub(crate) secrets_dir: Option<PathBuf>,
    /// Commands that come first in the `PATH`.
    pub(crate) tools: PathBuf,
}

impl Places {
    /// Returns a text with the expressions replaced that only the worker can replace.
    pub(crate) fn replaced(&self, text: &str, job: &JobId) -> String {
        let path = |paths: &BTreeMap<OutputName, PathBuf>, name: &str| {
            let found = paths.iter().find(|(known, _)| known.as_str() == name);
            found.map(|(_, path)| self::text(path))
        };
        Expression::replaced(text, |expression| match expression {
            Expression::Input(name) => path(&self.inputs, name),
            Expression::Output(name) => path(&self.outputs, name),
            Expression::JobId => Some(job.to_string()),
        })
    }
}

/// Returns the environment of a task; `sequence` is of the checkpoint that it goes on from.
pub(crate) fn environment(
    assignment: &Assignment,
    places: &Places,
    inherited: BTreeMap<String, String>,
    start: WallTime,
    sequence: u64,
) -> BTreeMap<String, String> {
    let Assignment { attempt, spec, .. } = assignment;
    let mut env = inherited;
    env.extend(assignment.job_env.clone());
    let replaced = |text: &String| places.replaced(text, &attempt.job);
    env.extend(spec.env.iter().map(|(name, value)| (name.clone(), replaced(value))));
    env.retain(|name, _| !name.starts_with(PREFIX));
    let path = path_with(&places.tools, env.get(PATH).map(String::as_str));
    env.insert(PATH.to_owned(), path);

    let mut set = |name: &str, value: String| env.insert(format!("{PREFIX}{name}"), value);
    set("WORK_DIR", text(&places.work_dir));
    set("OUTPUT_DIR", text(&places.output_dir));
    for (name, path) in &places.outputs {
        set(&format!("OUTPUT_{}", mangled(name.as_str())), text(path));
    }
    set("INPUTS_DIR", text(&places.inputs_dir));
    for (name, path) in &places.inputs {
        set(&format!("INPUT_{}", mangled(name.as_str())), text(path));
    }
    for (name, value) in &assignment.params {
        set(&format!("PARAM_{}", mangled(name)), value.clone());
    }
    set("JOB_ID", attempt.job.to_string());
    set("JOB_NAME", assignment.job_name.clone());
    set("TASK_ID", attempt.task.to_string());
    set("WORKER", assignment.worker.to_string());
    set("ATTEMPT", assignment.number.to_string());
    set("MAX_ATTEMPTS", spec.retry.attempts.to_string());
    set("FENCING_TOKEN", attempt.token.to_string());
    set("TASK_KEY", format!("{}/{}", attempt.job, attempt.task));
    set("TIMEOUT_SECONDS", assignment.time_limit.as_secs().max(1).to_string());
    set("DEADLINE", rfc_3339(start.after(assignment.time_limit)));
    set("CANCEL_FILE", text(&places.cancel_file));
    set("CHECKPOINT_DIR", text(&places.checkpoint_dir));
    set("CHECKPOINT_SEQUENCE", sequence.to_string());
    set("CHECKPOINT_ASKS", text(&places.asks_dir));
    set("REPORT", text(&places.report));
    if let Some(dir) = &places.secrets_dir {
        set("SECRETS_DIR", text(dir));
    }
    if let Role::Hook(hook) = &assignment.role {
        let key = if hook.undoes.is_empty() { "EFFECT_KEY" } else { "TASK_KEY" };
        set(key, hook.key.clone());
        set("DECISION", hook.verdict.clone());
        set("JOB_FILE", text(&places.job_file));
        let undoes: Vec<String> = hook.undoes.iter().map(ToString::to_string).collect();
        set("UNDOES", undoes.join(" "));
    }
    env
}

fn rfc_3339(time: WallTime) -> String {
    let timestamp = i64::try_from(time.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    timestamp.unwrap_or(Timestamp::MAX).to_string()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// What begins like this is said by the worker and by nobody else.
const PREFIX: &str = "VOTUM_";
const PATH: &str = "PATH";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::assignment;

    fn places() -> Places {
        let output = OutputName::new("daily-rows").unwrap();
        Places {
            work_dir: "/s/work".into(),
            output_dir: "/s/out".into(),
            outputs: BTreeMap::from([(output.clone(), "/s/out/rows.csv".into())]),
            inputs_dir: "/s/inputs".into(),
            inputs: BTreeMap::from([(output, "/s/inputs/daily-rows/rows.csv".into())]),
            checkpoint_dir: "/s/checkpoint".into(),
            asks_dir: "/s/asks".into(),
            cancel_file: "/d/cancel".into(),
            report: "/d/report".into(),
            job_file: "/d/job.json".into(),
            secrets_dir: Some("/dev/shm/s".into()),
            tools: "/w/bin".into(),
        }
    }

    #[test]
    fn the_task_wins_over_the_job_and_nobody_over_votum() {
        let mut assignment = assignment(1);
        assignment.job_env = BTreeMap::from([("A".into(), "job".into()), ("B".into(), "b".into())]);
        assignment.spec.env =
            BTreeMap::from([("A".into(), "task".into()), ("VOTUM_JOB_ID".into(), "forged".into())]);
        let inherited = BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]);
        let env = environment(&assignment, &places(), inherited, WallTime(0), 7);
        assert_eq!(
            (env["A"].as_str(), env["B"].as_str(), env["PATH"].as_str()),
            ("task", "b", "/w/bin:/bin")
        );
        assert_eq!(env["VOTUM_JOB_ID"], "sales-7");
    }

    #[test]
    fn expressions_in_the_tasks_environment_become_paths() {
        let mut assignment = assignment(1);
        let rows = "${{ inputs.daily-rows }}:${{ outputs.daily-rows }}:${{ job.id }}";
        assignment.spec.env = BTreeMap::from([
            ("ROWS".into(), rows.into()),
            ("LITERAL".into(), "$${{ job.id }} ${{ inputs.other }}".into()),
        ]);
        let env = environment(&assignment, &places(), BTreeMap::new(), WallTime(0), 0);
        assert_eq!(env["ROWS"], "/s/inputs/daily-rows/rows.csv:/s/out/rows.csv:sales-7");
        assert_eq!(env["LITERAL"], "${{ job.id }} ${{ inputs.other }}");
    }

    #[test]
    fn every_name_becomes_a_variable_of_capitals() {
        let mut assignment = assignment(1);
        assignment.params = BTreeMap::from([("load.date".into(), "today".into())]);
        assignment.time_limit = Duration::from_secs(90);
        let env = environment(&assignment, &places(), BTreeMap::new(), WallTime(0), 7);
        assert_eq!(env["VOTUM_OUTPUT_DAILY_ROWS"], "/s/out/rows.csv");
        assert_eq!(env["VOTUM_INPUT_DAILY_ROWS"], "/s/inputs/daily-rows/rows.csv");
        assert_eq!(env["VOTUM_PARAM_LOAD_DATE"], "today");
        assert_eq!(env["VOTUM_DEADLINE"], "1970-01-01T00:01:30Z");
        assert_eq!(env["VOTUM_TIMEOUT_SECONDS"], "90");
        assert_eq!(env["VOTUM_TASK_KEY"], "sales-7/load");
        assert_eq!(env["VOTUM_CHECKPOINT_DIR"], "/s/checkpoint");
        assert_eq!(env["VOTUM_CHECKPOINT_SEQUENCE"], "7");
        assert_eq!(env["VOTUM_SECRETS_DIR"], "/dev/shm/s");
    }
}
