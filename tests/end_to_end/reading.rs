//! What tasks made can be read through the coordinator, before the decision only by who asks for it.

use votum_client::{Client, ClientError};
use votum_ids::{JobId, OutputName, TaskId};
use votum_tests::{Cluster, JobDraft, TaskDraft};
use votum_wire::{
    JobState, OutputState, Reason,
    output::{EntryContent, OutputId, ReadOutput},
};

use crate::patient;

#[test]
fn a_published_output_is_read_after_its_staging_is_gone() {
    let mut cluster = patient();
    let task = TaskDraft::new("t").on("s1").writes("rows", "rows.txt").publishes("rows.txt");
    let job = cluster.submit(&JobDraft::new("read").task(task).spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    cluster.wait_until_staging_is_empty();
    // Nothing that is read depends on what the daemons remember.
    cluster.worker("s1").kill();
    cluster.worker("s1").start();
    cluster.coordinator().kill();
    cluster.coordinator().start();
    cluster.wait_until_ready();

    let output = rows(&job);
    let files = cluster.block_on(cluster.client().output_files(&output, false)).unwrap();
    let [entry] = files.entries.as_slice() else { panic!("{files:?}") };
    let EntryContent::File { size, .. } = entry.content else { panic!("{entry:?}") };
    let bytes = read(&cluster, &output, &entry.path, false).unwrap();
    let published = std::fs::read(cluster.root("s1").join("rows.txt")).unwrap();
    assert_eq!((files.single_file, size), (true, bytes.len() as u64));
    assert_eq!(bytes, published);
    assert!(String::from_utf8_lossy(&bytes).contains(job.as_str()));
}

#[test]
fn what_is_staged_is_read_by_who_asks_for_it_only() {
    let cluster = patient();
    let task = TaskDraft::new("t").on("s1").writes("rows", "rows.txt").publishes("rows.txt");
    let wait = TaskDraft::new("wait").on("s2").needs("t").runs("sleep 600");
    let job = cluster.submit(&JobDraft::new("staged").task(task).task(wait).spec());
    cluster.wait_for("t is staged", &job, |view| {
        let outputs = view.tasks.iter().flat_map(|task| &task.outputs);
        outputs.into_iter().any(|output| output.state == OutputState::Staged)
    });
    let output = rows(&job);

    let refused = read(&cluster, &output, "rows.txt", false).unwrap_err();
    let ClientError::Refused(problem) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.reason, Reason::OutputNotPublished);
    assert!(!read(&cluster, &output, "rows.txt", true).unwrap().is_empty());
    for path in ["other.txt", "../rows.txt", "/etc/passwd"] {
        let refused = read(&cluster, &output, path, true).unwrap_err();
        let ClientError::Refused(problem) = refused else { panic!("{path}: {refused:?}") };
        let reasons = [Reason::OutputNotFound, Reason::Malformed];
        assert!(reasons.contains(&problem.reason), "{path}: {problem:?}");
    }

    cluster.block_on(cluster.client().cancel(&job, "")).unwrap();
    cluster.ended(&job);
    let refused = read(&cluster, &output, "rows.txt", true).unwrap_err();
    let ClientError::Refused(problem) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.reason, Reason::OutputNotFound);
}

fn rows(job: &JobId) -> OutputId {
    let (task, output) = (TaskId::new("t").unwrap(), OutputName::new("rows").unwrap());
    OutputId { job: job.clone(), task, output }
}

fn read(
    cluster: &Cluster,
    output: &OutputId,
    path: &str,
    staged: bool,
) -> Result<Vec<u8>, ClientError> {
    let client: &Client = cluster.client();
    let (output, path) = (output.clone(), path.to_owned());
    cluster.block_on(async {
        let wanted = ReadOutput { output, path, offset: 0, limit: None, staged };
        let mut pieces = client.output_bytes(wanted);
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await? {
            bytes.extend(piece);
        }
        Ok(bytes)
    })
}
