//! A stale log is settled job by job and then trusted, and a damaged job is ended: everything ends
//! as was decided or ruled, and nothing is mixed (C6, V3, H1).

use std::{collections::BTreeSet, time::Duration};

use votum_ids::JobId;
use votum_tests::{Cluster, JobDraft, Visible, eventually, spoil};
use votum_wire::{
    CaseAction, CaseName, CaseView, JobState, JobView, Reason,
    case::{GetCase, ResolveCase},
};

use crate::{
    doubting::{recorded, voted_by_two},
    open_gate, patient,
    restoring::{backed_up, gated, lose_disk, restore},
};

#[test]
fn a_restored_log_is_settled_job_by_job_and_trusted() {
    use CaseAction::{Abort, Commit, Resume};
    let mut cluster = patient();
    let known = ["done", "goes", "stops"];
    let [done, goes, stops] = known.map(|name| gated(&cluster, name, &format!("gate-{name}")));
    let backup = cluster.home().join("votum.backup");
    backed_up(&cluster, &backup).unwrap();
    open_gate(&cluster, "gate-done");
    assert_eq!(cluster.ended(&done).state, JobState::Committed);
    let lost = gated(&cluster, "lost", "gate-lost");
    let half = committed_at_s1_alone(&mut cluster, "half");
    lose_disk(&mut cluster);
    restore(&cluster, &backup).unwrap();
    cluster.coordinator().start();
    cluster.wait_until_ready();
    let log = CaseName::stale_log();
    let early = resolved(&cluster, &log, CaseAction::Trust).unwrap_err();
    assert_eq!(early, Reason::IllegalResolution);
    assert!(case(&cluster, &log).message.contains("start s2, s3"), "{:#?}", case(&cluster, &log));
    assert!(case(&cluster, &CaseName::stale(goes.clone())).actions.is_empty());

    for name in ["s2", "s3"] {
        cluster.worker(name).start();
    }
    cluster.wait_until_ready();
    for (job, legal) in [
        (&done, vec![Commit, Abort]),
        (&goes, vec![Resume, Abort]),
        (&stops, vec![Resume, Abort]),
        (&lost, vec![Abort]),
        (&half, vec![Commit]),
    ] {
        allows(&cluster, &CaseName::stale(job.clone()), &legal);
    }
    for (job, action) in [(&half, Abort), (&goes, Commit), (&lost, Resume)] {
        let refused = resolved(&cluster, &CaseName::stale(job.clone()), action);
        assert_eq!(refused, Err(Reason::IllegalResolution), "{job}");
    }
    assert_eq!(resolved(&cluster, &log, CaseAction::Trust), Err(Reason::IllegalResolution));
    for (job, action) in
        [(&done, Commit), (&goes, Resume), (&stops, Abort), (&lost, Abort), (&half, Commit)]
    {
        resolved(&cluster, &CaseName::stale(job.clone()), action).unwrap();
    }
    trusted_after_a_crash(&mut cluster, &log);

    open_gate(&cluster, "gate-goes");
    let ends = [
        (&done, "done.txt", JobState::Committed),
        (&goes, "goes.txt", JobState::Committed),
        (&half, "rows.txt", JobState::Committed),
        (&stops, "stops.txt", JobState::Aborted),
        (&lost, "lost.txt", JobState::Aborted),
    ];
    for (job, target, state) in ends {
        ends_as(&cluster, job, state);
        let visible =
            if state == JobState::Committed { Visible::Everything } else { Visible::Nothing };
        assert_eq!(cluster.visible(job, target), visible, "{job}");
    }
    for task in ["t1", "t2", "t3"] {
        assert_eq!(cluster.runs_of(&goes, task), 1, "{task} went on where it was");
    }
    cluster.wait_until_staging_is_empty();
    assert_eq!(cluster.counters().mixed, 0);
    let more = cluster.submit(&JobDraft::trio("more", "more.txt", &cluster.runs()).spec());
    assert_eq!(cluster.ended(&more).state, JobState::Committed);
}

#[test]
fn a_damaged_job_that_nobody_committed_is_aborted() {
    let mut cluster = patient();
    let job = gated(&cluster, "damaged", "gate");
    cluster.coordinator().kill();
    let records = cluster.records_of("coordinator", &job).len();
    spoil(&cluster.journal("coordinator"), &format!("job/{job}"), records);
    cluster.worker("s2").kill();
    cluster.coordinator().start();
    cluster.wait_until_ready();
    let name = CaseName::log(job.clone());
    assert!(case(&cluster, &name).actions.is_empty(), "s2 has not told what it has");
    assert_eq!(resolved(&cluster, &name, CaseAction::Abort), Err(Reason::IllegalResolution));
    cluster.worker("s2").start();
    allows(&cluster, &name, &[CaseAction::Abort]);
    assert_eq!(resolved(&cluster, &name, CaseAction::Commit), Err(Reason::IllegalResolution));

    resolved(&cluster, &name, CaseAction::Abort).unwrap();
    for _ in 0..2 {
        let view = ends_as(&cluster, &job, JobState::Aborted);
        assert!(view.state_message.contains(WHY), "{view:#?}");
        assert_eq!(cluster.visible(&job, "damaged.txt"), Visible::Nothing);
        cluster.wait_until_staging_is_empty();
        // It stays ended, although most of its records cannot be read.
        cluster.coordinator().kill();
        cluster.coordinator().start();
        cluster.wait_until_ready();
        assert_eq!(cluster.counters().quarantined, []);
    }
}

#[test]
fn a_damaged_job_whose_commit_is_known_is_finished() {
    let mut cluster = patient();
    cluster.worker("s3").kill();
    cluster.worker("s3").start_with(&[("VOTUM_CRASH_AT", "shadow.publish.after_generation_dir")]);
    cluster.wait_until_ready();
    let job = cluster.submit(&JobDraft::trio("damaged", "rows.txt", &cluster.runs()).spec());
    cluster.worker("s3").wait_for_exit(LIMIT);
    cluster.wait_for("s1 and s2 have acknowledged", &job, |view| {
        view.participants.iter().filter(|one| one.acknowledged).count() == 2
    });
    cluster.coordinator().kill();
    spoil(&cluster.journal("coordinator"), &format!("job/{job}"), 2);
    cluster.coordinator().start();
    let name = CaseName::log(job.clone());
    eventually("the commit can be confirmed", LIMIT, || {
        let case = cluster.block_on(cluster.client().case(&wanted(&name))).ok()?;
        (case.actions == [CaseAction::Commit]).then_some(())
    });
    assert_eq!(resolved(&cluster, &name, CaseAction::Abort), Err(Reason::IllegalResolution));
    resolved(&cluster, &name, CaseAction::Commit).unwrap();
    cluster.coordinator().kill();
    cluster.start_all();

    ends_as(&cluster, &job, JobState::Committed);
    assert_eq!(cluster.visible(&job, "rows.txt"), Visible::Everything);
    cluster.wait_until_staging_is_empty();
    assert_eq!(cluster.counters().quarantined, []);
    let kinds: BTreeSet<String> = history(&cluster, &job);
    assert!(kinds.contains("settled") && kinds.contains("closed"), "{kinds:?}");
}

/// Brings a job so far that COMMIT has reached s1 alone; the others are in doubt, and do not run.
fn committed_at_s1_alone(cluster: &mut Cluster, name: &str) -> JobId {
    let job = voted_by_two(cluster, name);
    for name in ["s2", "s3"] {
        cluster.worker(name).kill();
    }
    cluster.worker("s1").thaw();
    recorded(cluster, "s1", &job, "committed");
    job
}

/// Kills the coordinator, which forgets nothing that was ruled, and trusts the log then.
fn trusted_after_a_crash(cluster: &mut Cluster, log: &CaseName) {
    cluster.coordinator().kill();
    cluster.coordinator().start();
    cluster.wait_until_ready();
    assert!(cluster.counters().log_stale);
    eventually("the log can be trusted", LIMIT, || resolved(cluster, log, CaseAction::Trust).ok());
    eventually("the log is trusted", LIMIT, || {
        let view = cluster.block_on(cluster.client().cluster()).ok()?;
        (!view.log_stale).then_some(())
    });
    cluster.wait_until_ready();
}

/// Waits until a case allows just this.
#[track_caller]
fn allows(cluster: &Cluster, name: &CaseName, legal: &[CaseAction]) {
    eventually(&format!("{name} allows {legal:?}"), LIMIT, || {
        (case(cluster, name).actions == legal).then_some(())
    });
}

#[track_caller]
fn case(cluster: &Cluster, name: &CaseName) -> CaseView {
    cluster.block_on(cluster.client().case(&wanted(name))).unwrap()
}

/// Waits until a job has ended so; one that cannot be read counts as ended before it is.
#[track_caller]
fn ends_as(cluster: &Cluster, job: &JobId, state: JobState) -> JobView {
    cluster.wait_for("it ends as it was ruled", job, |view| view.state == state)
}

fn wanted(name: &CaseName) -> GetCase {
    GetCase { name: name.clone() }
}

fn resolved(cluster: &Cluster, name: &CaseName, action: CaseAction) -> Result<(), Reason> {
    let wish = ResolveCase { name: name.clone(), action, reason: WHY.to_owned() };
    let resolved = cluster.block_on(cluster.client().resolve_case(&wish));
    resolved.map_err(|error| error.problem().unwrap_or_else(|| panic!("{error}")).reason.clone())
}

fn history(cluster: &Cluster, job: &JobId) -> BTreeSet<String> {
    let events = cluster.block_on(cluster.client().events(job, 0)).unwrap();
    events.into_iter().map(|event| event.kind).collect()
}

const WHY: &str = "looked at every target";
const LIMIT: Duration = Duration::from_mins(1);
