//! Many jobs in one list, the history of each, and how a finished one is forgotten.

use std::{collections::BTreeSet, time::Duration};

use votum_client::ClientError;
use votum_ids::JobId;
use votum_tests::{Cluster, JobDraft, TaskDraft, eventually};
use votum_wire::{
    JobState, Reason,
    hold::PauseJob,
    listing::ListChange,
    request::{Detail, Wanted},
};

use crate::patient;

#[test]
fn a_history_keeps_its_numbers_over_a_restart() {
    let mut cluster = patient();
    let job = committed(&cluster, "told");
    let before = cluster.block_on(cluster.client().events(&job, 0)).unwrap();
    cluster.coordinator().kill();
    cluster.coordinator().start();
    let after = cluster.block_on(cluster.client().events(&job, 0)).unwrap();
    let rest = cluster.block_on(cluster.client().events(&job, 3)).unwrap();

    assert_eq!(before, after);
    assert_eq!(rest, after[3..]);
    let numbers: Vec<u64> = after.iter().map(|event| event.id).collect();
    assert_eq!(numbers, (1..=after.len() as u64).collect::<Vec<_>>());
    assert!(after.is_sorted_by_key(|event| event.lsn));
    let kinds: Vec<&str> = after.iter().map(|event| event.kind.as_str()).collect();
    let told = ["received", "assigned", "started", "staged", "commit_decided", "ended", "closed"];
    assert!(told.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    let decided = after.iter().find(|event| event.kind == "commit_decided").unwrap();
    assert!(decided.forced);
}

#[test]
fn a_finished_job_is_deleted_and_an_open_one_is_not() {
    let mut cluster = patient();
    let over = committed(&cluster, "over");
    let open = JobDraft::new("open").task(TaskDraft::new("long").on("s1").runs("sleep 600"));
    let open = cluster.submit(&open.spec());
    let target = cluster.root("s1").join("over.txt");

    let refused = cluster.block_on(cluster.client().delete_job(&open)).unwrap_err();
    let ClientError::Refused(problem) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.reason, Reason::JobNotEnded);
    let missing = JobId::new("missing-1").unwrap();
    let refused = cluster.block_on(cluster.client().delete_job(&missing)).unwrap_err();
    let ClientError::Refused(problem) = refused else { panic!("{refused:?}") };
    assert_eq!(problem.reason, Reason::JobNotFound);

    // A repeat changes nothing, before and after a restart.
    cluster.block_on(cluster.client().delete_job(&over)).unwrap();
    cluster.block_on(cluster.client().delete_job(&over)).unwrap();
    cluster.coordinator().kill();
    cluster.coordinator().start();
    cluster.block_on(cluster.client().delete_job(&over)).unwrap();
    eventually("the deleted job has left the list", PATIENCE, || {
        cluster.jobs().iter().all(|view| view.job == open).then_some(())
    });
    let view = cluster.job(&over);
    assert_eq!(view.state, JobState::Committed);
    assert!(view.state_message.contains("deleted by"), "{}", view.state_message);
    assert!(cluster.block_on(cluster.client().events(&over, 0)).unwrap().is_empty());
    assert!(target.exists(), "what was published stays");
}

#[test]
fn a_deleted_job_is_found_by_name_where_no_other_has_it() {
    let mut cluster = patient();
    let [first, last] = [committed(&cluster, "gone"), committed(&cluster, "gone")];
    let other = committed(&cluster, "goodbye");
    for job in [&first, &last] {
        cluster.block_on(cluster.client().delete_job(job)).unwrap();
    }
    let found =
        |cluster: &Cluster, reference: &str| cluster.block_on(cluster.client().resolve(reference));
    eventually("they have left the list", PATIENCE, || {
        cluster.jobs().iter().all(|view| view.job == other).then_some(())
    });
    cluster.coordinator().kill();
    cluster.coordinator().start();
    assert_eq!(found(&cluster, "gone").unwrap(), last, "the newest of the name");
    let beginning = &first.as_str()[..first.as_str().len() - 1];
    assert_eq!(found(&cluster, beginning).unwrap(), first);
    // A job that is there comes first, and whoever means one of several is asked.
    assert_eq!(found(&cluster, "goodb").unwrap(), other);
    assert_eq!(found(&cluster, "go").unwrap(), other);
    cluster.block_on(cluster.client().delete_job(&other)).unwrap();
    eventually("it has left the list", PATIENCE, || cluster.jobs().is_empty().then_some(()));
    let unclear = found(&cluster, "go").unwrap_err();
    let ClientError::Ambiguous { candidates, .. } = unclear else { panic!("{unclear:?}") };
    assert_eq!(candidates.into_iter().collect::<BTreeSet<_>>(), [first, last, other].into());
    assert!(matches!(found(&cluster, "never").unwrap_err(), ClientError::NoSuchJob { .. }));
}

#[test]
fn a_list_is_filtered_and_paged_by_the_coordinator() {
    let cluster = patient();
    let mut jobs = Vec::new();
    for number in 0..7 {
        let name = if number % 2 == 0 { "even" } else { "odd" };
        let mut spec = JobDraft::new(name).task(TaskDraft::new("t").runs("true")).spec();
        spec.labels.insert("number".to_owned(), number.to_string());
        jobs.push(cluster.submit(&spec));
    }
    for job in &jobs {
        cluster.ended(job);
    }
    let listed = |wanted: &Wanted| -> Vec<JobId> {
        let found = cluster.block_on(cluster.client().jobs(wanted, Detail::Basic, 100));
        found.unwrap().into_iter().map(|view| view.job).collect()
    };
    let newest_first = |numbers: &[usize]| -> Vec<JobId> {
        numbers.iter().map(|number| jobs[*number].clone()).collect()
    };

    let odd = Wanted { display_name: Some("odd".to_owned()), ..Wanted::default() };
    assert_eq!(listed(&odd), newest_first(&[5, 3, 1]));
    let labels = [("number".to_owned(), "4".to_owned())].into();
    assert_eq!(listed(&Wanted { labels, ..Wanted::default() }), newest_first(&[4]));
    let prefix = Some(jobs[2].as_str()[..9].to_owned());
    assert_eq!(listed(&Wanted { prefix, ..Wanted::default() }), newest_first(&[2]));
    let since = Some(cluster.job(&jobs[5]).created);
    assert_eq!(listed(&Wanted { since, ..Wanted::default() }), newest_first(&[6, 5]));
    let aborted = Wanted { states: [JobState::Aborted].into(), ..Wanted::default() };
    assert_eq!(listed(&aborted), []);

    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let page = cluster.client().job_page(&odd, Detail::Basic, 2, token);
        let page = cluster.block_on(page).unwrap();
        assert!(page.jobs.len() <= 2);
        seen.extend(page.jobs.into_iter().map(|view| view.job));
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, newest_first(&[5, 3, 1]));
}

#[test]
fn a_filter_chooses_what_the_jobs_themselves_would_answer() {
    let mut cluster = patient();
    let labelled = |name: &str, team: &str, script: &str| {
        let mut spec = JobDraft::new(name).task(TaskDraft::new("t").on("s1").runs(script)).spec();
        spec.labels.insert("team".to_owned(), team.to_owned());
        cluster.submit(&spec)
    };
    let committed = labelled("nightly", "sales", "true");
    let aborted = labelled("nightly", "ops", "false");
    let cancelled = labelled("other", "sales", "sleep 600");
    let paused = labelled("held", "sales", "sleep 600");
    let running = labelled("running", "a b", "sleep 600");
    cluster.block_on(cluster.client().cancel(&cancelled, "not needed")).unwrap();
    let pause = PauseJob { job: paused.clone(), reason: String::new(), stop_running: true };
    cluster.block_on(cluster.client().pause(&pause)).unwrap();
    for job in [&committed, &aborted, &cancelled] {
        cluster.ended(job);
    }
    is_closed(&cluster, &committed);

    let expected: [(&str, &[&JobId]); 14] = [
        ("state = RUNNING AND paused = false", &[&running]),
        ("state = PAUSED", &[&paused]),
        ("cancelled = true", &[&cancelled]),
        ("state = ABORTED AND NOT cancelled = true", &[&aborted]),
        ("NOT (state = COMMITTED OR state = ABORTED)", &[&running, &paused]),
        ("labels.team = sales", &[&paused, &cancelled, &committed]),
        ("labels.team != sales ended:*", &[&aborted]),
        ("labels.team = \"a b\"", &[&running]),
        ("name = nightly AND labels:team", &[&aborted, &committed]),
        ("name = *ght* OR id = \"held-*\"", &[&paused, &aborted, &committed]),
        ("received > -1h AND name = other", &[&cancelled]),
        ("received < -1h", &[]),
        ("ended > -1h AND name = nightly", &[&aborted, &committed]),
        ("NOT by = nobody AND labels.team = ops", &[&aborted]),
    ];
    let compare = |cluster: &Cluster| {
        for (text, wanted) in &expected {
            let filter = Some(text.parse().unwrap());
            let by_filter = Wanted { filter, ..Wanted::default() };
            let listed = cluster.block_on(cluster.client().jobs(&by_filter, Detail::Basic, 100));
            let listed: Vec<JobId> = listed.unwrap().into_iter().map(|view| view.job).collect();
            assert_eq!(listed.iter().collect::<Vec<_>>(), *wanted, "{text}");
        }
    };
    compare(&cluster);
    cluster.coordinator().kill();
    cluster.coordinator().start();
    compare(&cluster);
}

#[test]
fn who_watches_the_list_hears_of_every_end_and_deletion() {
    let cluster = patient();
    let (first, other) = (committed(&cluster, "first"), "second");
    let mut watch = cluster.client().watch_list();
    assert_eq!(cluster.block_on(watch.next()).unwrap(), ListChange::Missed);
    let second = committed(&cluster, other);
    cluster.block_on(cluster.client().delete_job(&first)).unwrap();

    let (mut ended, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    cluster.block_on(async {
        while !ended.contains(&second) || !deleted.contains(&first) {
            let change = tokio::time::timeout(PATIENCE, watch.next());
            match change.await.expect("a change comes soon").unwrap() {
                ListChange::Job(view) if view.state.is_final() => {
                    ended.insert(view.job);
                }
                ListChange::Deleted(job) => {
                    deleted.insert(job);
                }
                ListChange::Job(_) | ListChange::Missed => {}
            }
        }
    });
}

/// Lets a job that publishes `{name}.txt` on s1 commit.
fn committed(cluster: &Cluster, name: &str) -> JobId {
    let task = TaskDraft::new("t").on("s1").writes("rows", "rows.txt");
    let task = task.publishes(&format!("{name}.txt"));
    let job = cluster.submit(&JobDraft::new(name).task(task).spec());
    assert_eq!(cluster.ended(&job).state, JobState::Committed);
    is_closed(cluster, &job);
    job
}

/// Waits until a job is closed, a moment after its end.
fn is_closed(cluster: &Cluster, job: &JobId) {
    let closed = || {
        let events = cluster.block_on(cluster.client().events(job, 0)).unwrap();
        events.iter().any(|event| event.kind == "closed").then_some(())
    };
    eventually("the job is closed", PATIENCE, closed);
}

const PATIENCE: Duration = Duration::from_secs(60);
