//! What clients rely on: requests are checked, refusals carry reasons, JSON is stable.

use std::collections::BTreeSet;

use prost::Message as _;
use tonic::{Code, Status};
use votum_ids::{InvalidName, JobId, TaskId, WorkerId};
use votum_job::{InvalidJob, Problem as JobProblem, SPEC_BYTES_MAX};
use votum_proto::v1;
use votum_wire::{
    JobState, Problem, Reason, job_spec_from_proto,
    json::{from_json, to_json, to_json_pretty},
    names,
    request::{Detail, ListJobs, SubmitJob, Wanted},
    status,
};

fn task(id: &str) -> v1::TaskSpec {
    let argv = vec!["true".to_owned()];
    v1::TaskSpec {
        task_id: id.to_owned(),
        action: Some(v1::task_spec::Action::Command(v1::Command { argv })),
        ..v1::TaskSpec::default()
    }
}

fn submission(tasks: Vec<v1::TaskSpec>) -> v1::SubmitJobRequest {
    let spec = v1::JobSpec { display_name: "j".to_owned(), tasks, ..v1::JobSpec::default() };
    v1::SubmitJobRequest { spec: Some(spec), ..v1::SubmitJobRequest::default() }
}

fn fields(status: &Status) -> Vec<String> {
    Problem::from_status(status).fields.into_iter().map(|wrong| wrong.field).collect()
}

#[test]
fn a_submission_survives_the_wire() {
    let mut request = submission(vec![task("a"), task("b")]);
    request.job_id = "j-1".to_owned();
    request.request_id = "0191e0d4-7b1c-7000-8000-000000000001".to_owned();
    let read = SubmitJob::read(request).unwrap();
    assert_eq!(SubmitJob::read(read.to_proto()).unwrap(), read);
}

#[test]
fn absent_fields_get_their_defaults_once() {
    let read = SubmitJob::read(submission(vec![task("a")])).unwrap();
    let task = &read.spec.tasks[&TaskId::new("a").unwrap()];
    assert_eq!(read.spec.timeout, votum_job::TIMEOUT_DEFAULT);
    assert_eq!(read.spec.retention, votum_job::RETENTION_DEFAULT);
    assert_eq!(read.spec.prepare_timeout, votum_job::PREPARE_TIMEOUT_DEFAULT);
    assert_eq!(task.grace_period, votum_job::GRACE_PERIOD_DEFAULT);
    assert_eq!(task.retry, votum_job::RetryPolicy::default());
}

#[test]
fn every_problem_of_a_spec_is_named_at_once() {
    let mut bad = task("load");
    bad.action = None;
    bad.outputs = vec![v1::OutputSpec { name: "Rows".to_owned(), ..v1::OutputSpec::default() }];
    bad.placement = Some(v1::Placement { worker: "s1".to_owned(), ..v1::Placement::default() });
    let refused = SubmitJob::read(submission(vec![task("A"), bad, task("x"), task("x")]));
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(
        fields(&refused),
        [
            "spec.tasks[0].task_id",
            "spec.tasks.load.placement.worker",
            "spec.tasks.load.action",
            "spec.tasks.load.outputs[0].name",
            "spec.tasks.x",
        ]
    );
}

#[test]
fn a_task_given_twice_is_a_duplicate_name() {
    let found = job_spec_from_proto(v1::JobSpec {
        tasks: vec![task("x"), task("x")],
        ..v1::JobSpec::default()
    });
    let problem = Problem::from_status(&status::malformed_spec(&found.unwrap_err()));
    assert_eq!(problem.reason, Reason::DuplicateName);
}

#[test]
fn a_spec_beyond_the_limit_is_not_read() {
    let mut request = submission(vec![task("a")]);
    request.spec.as_mut().unwrap().description = "x".repeat(SPEC_BYTES_MAX);
    let refused = Problem::from_status(&SubmitJob::read(request).unwrap_err());
    assert_eq!((refused.reason, refused.code), (Reason::SpecTooLarge, Code::InvalidArgument));
}

#[test]
fn a_negative_duration_is_malformed_with_its_field() {
    let mut bad = task("a");
    bad.timeout = Some(prost_types::Duration { seconds: -1, nanos: 0 });
    let refused = SubmitJob::read(submission(vec![bad])).unwrap_err();
    assert_eq!(fields(&refused), ["spec.tasks.a.timeout"]);
}

#[test]
fn a_page_token_is_good_for_its_wish_only() {
    let states = BTreeSet::from([JobState::Running, JobState::Aborted]);
    let filter = Some("by = ana".parse().unwrap());
    let wanted = Wanted { states, paused: true, cancelled: true, filter, ..Wanted::default() };
    let first = ListJobs::read(ListJobs::request(&wanted, Detail::Full, 7, None)).unwrap();
    assert_eq!((first.wanted.clone(), first.detail, first.page.size), (wanted, Detail::Full, 7));
    let token = Some(first.token_after("nightly-1"));
    let next = ListJobs::request(&first.wanted, Detail::Full, 7, token.clone());
    assert_eq!(ListJobs::read(next).unwrap().page.after.as_deref(), Some("nightly-1"));
    let unpaused = Wanted { paused: false, ..first.wanted.clone() };
    let unfiltered = Wanted { filter: None, ..first.wanted };
    for other in [unpaused, unfiltered] {
        let other = ListJobs::request(&other, Detail::Full, 7, token.clone());
        let refused = Problem::from_status(&ListJobs::read(other).unwrap_err());
        assert_eq!(refused.reason, Reason::PageTokenInvalid);
    }
}

#[test]
fn removed_jobs_are_listed_by_name_or_prefix_only() {
    let request = |job_id_prefix: &str| v1::ListJobsRequest {
        removed: true,
        job_id_prefix: job_id_prefix.to_owned(),
        ..Default::default()
    };
    assert_eq!(fields(&ListJobs::read(request("")).unwrap_err()), ["removed"]);
    let read = ListJobs::read(request("night")).unwrap();
    assert!(read.wanted.removed);
    let token = Some(read.token_after("tombstone/nightly-1"));
    let living = Wanted { removed: false, ..read.wanted };
    let refused = ListJobs::read(ListJobs::request(&living, Detail::Full, 7, token)).unwrap_err();
    assert_eq!(Problem::from_status(&refused).reason, Reason::PageTokenInvalid);
}

#[test]
fn a_filter_that_means_nothing_is_refused_with_its_place() {
    let filter = "by = ana AND stat = RUNNING".to_owned();
    let request = v1::ListJobsRequest { filter, ..Default::default() };
    let refused = Problem::from_status(&ListJobs::read(request).unwrap_err());
    assert_eq!((refused.reason, refused.code), (Reason::FilterInvalid, Code::InvalidArgument));
    assert_eq!(refused.metadata["position"], "13");
    assert_eq!(refused.fields[0].field, "filter");
    assert!(refused.message.contains("did you mean `state`?"), "{}", refused.message);
    let blank = v1::ListJobsRequest { filter: " ".to_owned(), ..Default::default() };
    assert_eq!(ListJobs::read(blank).unwrap().wanted, Wanted::default());
}

#[test]
fn a_problem_survives_the_status() {
    let problem = Problem::words(Reason::AlreadyDecided, "too late")
        .with("job", "j-1")
        .field("name", "is decided")
        .precondition("jobs/j-1", "must be undecided")
        .resource("votum.v1.Job", "jobs/j-1")
        .retry_after(std::time::Duration::from_millis(1500));
    let status = Status::from(problem.clone());
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(Problem::from_status(&status), problem);
}

#[test]
fn a_foreign_status_is_a_problem_without_reason() {
    let problem = Problem::from_status(&Status::unavailable("tcp connect error"));
    assert_eq!((problem.code, problem.reason.as_str()), (Code::Unavailable, ""));
}

#[test]
fn a_refused_job_names_fields_from_the_request() {
    let unknown = |task: &str| InvalidJob {
        field: format!("tasks.{task}.needs"),
        problem: JobProblem::UnknownTask { task: TaskId::new("x").unwrap(), suggestion: None },
    };
    let alike = Problem::from_status(&status::invalid_job(&[unknown("a"), unknown("b")]));
    assert_eq!(alike.reason, Reason::UnknownTask);
    assert_eq!(alike.fields[1].field, "spec.tasks.b.needs");
    let no_tasks = InvalidJob { field: String::new(), problem: JobProblem::NoTasks };
    let mixed = Problem::from_status(&status::invalid_job(&[unknown("a"), no_tasks]));
    assert_eq!((mixed.reason, mixed.fields[1].field.as_str()), (Reason::InvalidSpec, "spec"));
}

#[test]
fn resource_names_have_one_spelling() {
    for text in ["jobs/", "jobs/A", "Jobs/a", "a", "jobs/a/tasks/b", "/jobs/a", "jobs/a/"] {
        assert!(names::read_job_name("name", text).is_err(), "{text}");
    }
    let job = JobId::new("a-1").unwrap();
    assert_eq!(names::read_job_name("name", &names::job_name(&job)), Ok(job));
    let worker: Result<WorkerId, InvalidName> = WorkerId::new("s1");
    let worker = worker.unwrap();
    assert_eq!(names::read_worker_name("name", &names::worker_name(&worker)), Ok(worker));
}

#[test]
fn json_has_the_order_of_the_proto() {
    let mut first = task("load");
    first.env = [("B".to_owned(), "2".to_owned()), ("A".to_owned(), "1".to_owned())].into();
    first.timeout = Some(prost_types::Duration { seconds: 90, nanos: 500_000_000 });
    let max_bytes = Some(9_007_199_254_740_993);
    first.outputs =
        vec![v1::OutputSpec { name: "rows".to_owned(), max_bytes, ..v1::OutputSpec::default() }];
    let spec = v1::JobSpec {
        display_name: "nightly".to_owned(),
        tasks: vec![first],
        ..v1::JobSpec::default()
    };
    assert_eq!(
        to_json(&spec),
        concat!(
            r#"{"displayName":"nightly","tasks":[{"taskId":"load","command":{"argv":["true"]},"#,
            r#""env":{"A":"1","B":"2"},"outputs":[{"name":"rows","maxBytes":"9007199254740993"}],"#,
            r#""timeout":"90.500s"}]}"#,
        )
    );
    assert_eq!(from_json::<v1::JobSpec>(&to_json_pretty(&spec)).unwrap(), spec);
}

#[test]
fn json_shows_the_reason_of_an_error() {
    let status = Status::from(Problem::words(Reason::from("EXIT_CODE"), "exit code 3"));
    let error = tonic_types::Status::decode(status.details()).unwrap();
    let json = to_json(&v1::Job { error: Some(error), ..v1::Job::default() });
    assert_eq!(
        json,
        concat!(
            r#"{"error":{"code":10,"message":"exit code 3","details":["#,
            r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"votum.v1","#,
            r#""reason":"EXIT_CODE"}]}}"#,
        )
    );
}

#[test]
fn json_with_unknown_fields_is_refused() {
    assert!(from_json::<v1::JobSpec>(r#"{"displayNam":"x"}"#).is_err());
    assert!(from_json::<v1::JobSpec>(r#"{"displayName":"x"} more"#).is_err());
}
