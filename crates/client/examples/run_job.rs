//! Hands a job in, follows it to its end, tells what became visible where, and reads it.
//!
//! `cargo run -p votum-client --example run_job -- 127.0.0.1:7070`

use std::{error::Error, time::Duration};

use uuid::Uuid;
use votum_client::{
    Client, Options, Until,
    ids::{Existing, OutputName, RequestId, Target, TargetKind, TaskId},
    job::{FlatMap, InputSpec, JobSpec, OutputSpec, Program, RetryPolicy, TaskSpec},
    wire::{
        JobState, JobView,
        output::{OutputId, ReadOutput},
        request::SubmitJob,
    },
};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "it is what an example is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7070".to_owned());
    for line in run(&address).await? {
        println!("{line}");
    }
    Ok(())
}

/// Runs the job of this example on a cluster, and tells what became of it.
///
/// # Errors
/// What the client says: a coordinator that is away for longer than the patience, a job that is
/// refused, a job that does not end in time.
pub(crate) async fn run(address: &str) -> Result<Vec<String>, Box<dyn Error>> {
    // Each call may take ten seconds, and is repeated for a minute while the coordinator restarts.
    let options = Options { timeout: Duration::from_secs(10), patience: Duration::from_secs(60) };
    let client = Client::connect(address, options)?;

    // Drawn once, before the first try: however often the submission is repeated, it is one job.
    let request = SubmitJob {
        spec: two_tasks()?,
        job: None,
        request: Some(drawn_id()),
        validate_only: false,
    };
    let submitted = client.submit(&request).await?;
    let job = submitted.job.ok_or("the coordinator did not name the job")?.job;

    // Committed or aborted: every worker has done its part. `Until::Decided` would end earlier.
    let view = client.wait(&job, Until::Ended, Some(Duration::from_mins(5))).await?;
    if view.state != JobState::Committed {
        return Err(format!("{job} has not committed: {}", view.state_message).into());
    }
    told(&client, &view).await
}

/// Returns where each output has become visible, its digest and what it says.
async fn told(client: &Client, job: &JobView) -> Result<Vec<String>, Box<dyn Error>> {
    let mut lines = vec![format!("{} committed", job.job)];
    for task in &job.tasks {
        for output in &task.outputs {
            let Some(path) = &output.publish_path else { continue };
            let (worker, bytes, digest) = (&output.worker, output.bytes, output.digest);
            lines.push(format!("{worker}:{path}  {bytes} bytes  {digest}"));
            let id = OutputId {
                job: job.job.clone(),
                task: task.task.clone(),
                output: output.output.clone(),
            };
            lines.push(String::from_utf8(read(client, id).await?)?.trim_end().to_owned());
        }
    }
    Ok(lines)
}

/// Reads the first file of an output, through the coordinator.
async fn read(client: &Client, output: OutputId) -> Result<Vec<u8>, Box<dyn Error>> {
    let files = client.output_files(&output, false).await?;
    let path = files.entries.first().ok_or("the output is empty")?.path.clone();
    let mut stream =
        client.output_bytes(ReadOutput { output, path, offset: 0, limit: None, staged: false });
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[expect(clippy::disallowed_methods, reason = "this program is where the submission begins")]
fn drawn_id() -> RequestId {
    RequestId(Uuid::new_v4())
}

/// Makes a job of two tasks: one counts to ten, the other adds up what it wrote.
fn two_tasks() -> Result<JobSpec, Box<dyn Error>> {
    let (count, sum) = (TaskId::new("count")?, TaskId::new("sum")?);
    let numbers = OutputName::new("numbers")?;

    let mut counting = TaskSpec::of(shell("seq 1 10 > \"$VOTUM_OUTPUT_NUMBERS\""));
    counting.retry = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
    counting.outputs.insert(numbers.clone(), output("numbers.txt", None));

    let mut adding = TaskSpec::of(shell(
        "awk '{ sum += $1 } END { print sum }' \"$VOTUM_INPUT_NUMBERS\" > \"$VOTUM_OUTPUT_TOTAL\"",
    ));
    // An input from a task makes this one wait for it.
    let input = InputSpec::TaskOutput { task: count.clone(), output: numbers.clone() };
    adding.inputs.insert(numbers, input);
    adding.outputs.insert(OutputName::new("total")?, output("total.txt", Some("rust/total.txt")));

    Ok(JobSpec {
        timeout: Duration::from_mins(5),
        tasks: FlatMap::from([(count, counting), (sum, adding)]),
        ..JobSpec::named("rust-example")
    })
}

fn shell(script: &str) -> Program {
    Program::Command(["sh", "-euc", script].map(str::to_owned).to_vec())
}

/// Makes an output that becomes visible below the worker's first publish root, or only feeds others.
fn output(path: &str, publish: Option<&str>) -> OutputSpec {
    let target = |path: &str| Target {
        path: path.to_owned(),
        kind: TargetKind::File,
        mode: None,
        existing: Existing::Replace,
        generations_kept: None,
    };
    OutputSpec {
        path: path.to_owned(),
        optional: false,
        bytes_max: None,
        publish: publish.map(target),
        replicas: 1,
    }
}
