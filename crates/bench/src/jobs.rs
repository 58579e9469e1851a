//! The jobs that are measured.

use uuid::Uuid;
use votum_client::wire::request::SubmitJob;
use votum_ids::{Existing, OutputName, RequestId, Target, TargetKind, TaskId, WorkerId};
use votum_job::{FlatMap, InputSpec, JobSpec, OutputSpec, Program, TaskSpec};

/// Three tasks on three workers, the third after the other two, each of which runs one program
/// that leaves a file of 4 KiB; all three files are published. A lane has targets of its own.
pub(crate) fn ordinary(source: &str, lane: usize) -> JobSpec {
    let mut job = JobSpec::named("ordinary");
    for (number, worker) in WORKERS.iter().enumerate() {
        let mut spec = copying(source, &format!("lane-{lane}/{number}"));
        spec.placement.worker = Some(worker_id(worker));
        if number == 2 {
            spec.needs = [task_id("t0"), task_id("t1")].into();
        }
        job.tasks.insert(task_id(&format!("t{number}")), spec);
    }
    job
}

/// The same graph, in which only `publishes` of the tasks publish what they leave.
pub(crate) fn reading(source: &str, publishes: usize) -> JobSpec {
    let mut job = ordinary(source, 0);
    for spec in job.tasks.values_mut().skip(publishes) {
        for output in spec.outputs.values_mut() {
            output.publish = None;
        }
    }
    job
}

/// One task on each of these workers, all at once, each of which publishes one file.
pub(crate) fn wide<'a>(source: &str, workers: impl IntoIterator<Item = &'a WorkerId>) -> JobSpec {
    let mut job = JobSpec::named("wide");
    for (number, worker) in workers.into_iter().enumerate() {
        let mut spec = copying(source, &format!("wide/{number}"));
        spec.placement.worker = Some(worker.clone());
        job.tasks.insert(task_id(&format!("t{number}")), spec);
    }
    job
}

/// A task whose output the next one reads on another worker.
pub(crate) fn passing(source: &str) -> JobSpec {
    let mut job = JobSpec::named("passing");
    let mut make = copying(source, "passed/file");
    make.placement.worker = Some(worker_id(WORKERS[0]));
    for output in make.outputs.values_mut() {
        output.publish = None;
    }
    let mut read = TaskSpec::of(Program::Command(vec!["true".to_owned()]));
    read.placement.worker = Some(worker_id(WORKERS[1]));
    let from = InputSpec::TaskOutput { task: task_id("make"), output: output_name() };
    read.inputs = FlatMap::from([(output_name(), from)]);
    job.tasks = FlatMap::from([(task_id("make"), make), (task_id("read"), read)]);
    job
}

/// One task on the first worker that publishes a copy of a file.
pub(crate) fn single(source: &str) -> JobSpec {
    wide(source, [&worker_id(WORKERS[0])])
}

/// So many tasks that run nothing worth mentioning, each after one drawn from those before it.
pub(crate) fn tangled(tasks: usize, seed: u64) -> JobSpec {
    let mut job = JobSpec::named("tangled");
    let mut dice = seed | 1;
    for number in 0..tasks {
        let mut spec = TaskSpec::of(Program::Command(vec!["true".to_owned()]));
        // Xorshift: any numbers will do, as long as a seed gives the same again.
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        if number > 0 {
            let before = usize::try_from(dice % number as u64).unwrap_or_default();
            spec.needs = [task_id(&format!("t{before}"))].into();
        }
        job.tasks.insert(task_id(&format!("t{number}")), spec);
    }
    job
}

/// Wraps a job for handing it in.
#[expect(clippy::disallowed_methods, reason = "a client draws its request ids")]
pub(crate) fn submission(spec: JobSpec) -> SubmitJob {
    let request = Some(RequestId(Uuid::new_v4()));
    SubmitJob { spec, job: None, request, validate_only: false }
}

fn copying(source: &str, target: &str) -> TaskSpec {
    let argv = ["cp", source, "${{ outputs.file }}"].map(str::to_owned).into();
    let mut spec = TaskSpec::of(Program::Command(argv));
    let publish = Target {
        path: target.to_owned(),
        kind: TargetKind::File,
        mode: None,
        existing: Existing::Replace,
        generations_kept: None,
    };
    let output = OutputSpec {
        path: "file".to_owned(),
        optional: false,
        bytes_max: None,
        publish: Some(publish),
        replicas: 1,
    };
    spec.outputs.insert(output_name(), output);
    spec
}

fn output_name() -> OutputName {
    OutputName::new("file").expect("the name is one")
}

fn task_id(text: &str) -> TaskId {
    TaskId::new(text).expect("the name is one")
}

/// Names a worker.
pub(crate) fn worker_id(text: &str) -> WorkerId {
    WorkerId::new(text).expect("the name is one")
}

/// The workers of an ordinary job.
pub(crate) const WORKERS: [&str; 3] = ["s1", "s2", "s3"];
