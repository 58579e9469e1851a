//! What people see, word by word.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;
use votum_ids::{ClusterId, Epoch, Incarnation, WorkerUid};
use votum_wire::view::{
    CheckpointView, ClusterView, DrainView, IndexState, JobState, JobView, JournalView,
    QuarantinedStream, QueueView, TaskState, WorkerState, WorkerView,
};
use votum_wire::{ForcedKind, ForcedView, PauseOrigin, PauseView};

use super::{
    cluster, explain,
    frame::{self, Size},
    hooks, job, jobs, outcome,
    paint::Paint,
    samples::{self, at},
    timeline,
    timeline::Waits,
};
use crate::{
    exit::Exit,
    job_file::{self, GivenParams, MissingParams},
};

const WIDE: Size = Size { height: 24, width: 100 };

#[track_caller]
fn assert_shown(shown: &str, expected: &str) {
    let expected = expected.trim_start_matches('\n');
    assert_eq!(shown.trim_end(), expected.trim_end(), "\n{shown}");
}

#[test]
fn a_failed_job_says_why_and_what_remains() {
    assert_shown(
        &job::screen(&samples::aborted(), at(172_800), Paint::Off),
        "
Job       nightly-sales-k3f9x2ab  (00000000-0000-0000-0000-000001a1f3c2)  by ana, 2d ago, took 18m 22s
State     ABORTED  nothing became visible on any worker
Because   task load failed: exit code 65 after 3 attempts on s3
          stderr: reading rows
          stderr: row 88213: bad currency code 'ZZZ'
Decision  ABORT recorded 2026-11-21 01:18:22Z

TASK     STATE      WORKER  TRIES  TOOK    OUTPUTS
extract  DISCARDED  s1          1  4m 02s  data 1.2 GiB (discarded)
load     FAILED     s3          1  37.0s   -
report   DISCARDED  s2          1  1m 58s  data 214 files (discarded)

ATTEMPT  WORKER  STARTED               ENDED                 ENDING  BECAUSE
load/1   s3      2026-11-21 01:00:02Z  2026-11-21 01:00:39Z  FAILED  exit code 65

OUTPUT       STATE      WORKER     SIZE  FILES  DIGEST        TARGET
report.data  DISCARDED  s2      8.6 MiB    214  abababababab  /srv/www/reports/2026-11-21

  logs:  votum logs nightly-sales-k3f9x2ab/load",
    );
}

#[test]
fn ended_attempts_say_when_where_and_why() {
    let view = samples::retried();
    assert_shown(
        job::screen(&view, at(70), Paint::Off).split("\n\n").nth(2).unwrap(),
        "
ATTEMPT    WORKER  STARTED               ENDED                 ENDING  BECAUSE
extract/4  s1      2026-11-21 01:00:02Z  2026-11-21 01:00:30Z  FAILED  exit code 65
extract/5  s2      never                 2026-11-21 01:00:40Z  LOST    its worker was lost
extract: 3 earlier attempts not shown",
    );
}

#[test]
fn a_further_attempt_says_what_became_of_the_one_before() {
    let mut before = samples::retried();
    before.tasks[0].attempts.truncate(1);
    before.tasks[0].attempts[0].ended = None;
    before.tasks[0].attempts[0].outcome = None;
    let after = samples::retried();
    assert_shown(
        &timeline::changes(Some(&before), &after, at(70)).join("\n"),
        "
  1m 10s  attempt extract/4 on s1 ended after 28.0s: exit code 65
  1m 10s  attempt extract/5 on s2 ended: its worker was lost
  1m 10s  task extract RUNNING on s3, attempt 6",
    );
    let first = timeline::changes(None, &after, at(70));
    assert!(first.iter().any(|line| line.contains("extract/5")), "{first:?}");
    assert!(!first.iter().any(|line| line.contains("extract/4")), "{first:?}");
    let picture = frame::picture(&after, at(70), WIDE, Paint::Off).join("\n");
    assert!(picture.contains("attempt 6, since its worker was lost"), "{picture}");
}

#[test]
fn a_job_that_is_held_twice_tells_both_reasons() {
    let mut view = samples::running();
    let hold = |by: &str, reason: &str, since, origin| PauseView {
        by: by.to_owned(),
        reason: reason.to_owned(),
        since: at(since),
        origin,
        stop_running: origin == PauseOrigin::Asked,
    };
    view.pause = Some(hold("votum", "task load failed", 20, PauseOrigin::Exhausted));
    view.further_pauses = vec![hold("ana", "", 50, PauseOrigin::Asked)];
    assert_eq!(view.word(), "PAUSING");
    let shown = job::screen(&view, at(60), Paint::Off);
    let held = "
State     PAUSING  0 of 3 tasks staged; 1 task runs
Held      by votum, 40s ago                   task load failed
          by ana, 10s ago, stopping what ran  (no reason given)
";
    assert!(shown.contains(held), "\n{shown}");
    view.tasks[0].state = TaskState::Ready;
    assert_eq!(view.word(), "PAUSED");
}

#[test]
fn an_open_task_says_where_it_would_go_on() {
    let mut view = samples::running();
    let task = view.tasks.iter_mut().find(|task| task.state == TaskState::Running).unwrap();
    let name = task.task.clone();
    task.checkpoint = Some(CheckpointView {
        sequence: 7,
        steps: 0,
        recorded: at(60),
        bytes: 1_258_291,
        workers: vec!["s1".parse().unwrap(), "s2".parse().unwrap()],
    });
    let shown = job::screen(&view, at(100), Paint::Off);
    let line = format!("{name}: checkpoint 7 (1.2 MiB, 40s ago) on s1, s2\n");
    assert!(shown.contains(&line), "{shown}");
}

#[test]
fn a_committed_job_says_what_is_visible_where() {
    assert_shown(
        &job::screen(&samples::committed(), at(500), Paint::Off),
        "
Job       nightly-sales-k3f9x2ab  (00000000-0000-0000-0000-000001a1f3c2)  by ana, 8m ago, took 6m 44s
State     COMMITTED  every output became visible
Decision  COMMIT recorded 2026-11-21 01:06:43Z, applied by s1, s2, s3
Votes     s1 read-only   s2 yes   s3 yes

TASK     STATE      WORKER  TRIES  TOOK    OUTPUTS
extract  COMMITTED  s1          1  4m 02s  data 1.2 GiB
load     COMMITTED  s3          1  37.0s   data 4.1 KiB
report   COMMITTED  s2          1  1m 58s  data 214 files

OUTPUT       STATE      WORKER     SIZE  FILES  DIGEST        TARGET
load.data    PUBLISHED  s3      4.1 KiB      1  abababababab  /srv/load/rows.csv
report.data  PUBLISHED  s2      8.6 MiB    214  abababababab  /srv/www/reports/2026-11-21

  still there:  votum verify nightly-sales-k3f9x2ab
  logs:         votum logs nightly-sales-k3f9x2ab",
    );
}

#[test]
fn the_picture_of_a_round_shows_who_has_voted() {
    let lines = frame::picture(&samples::preparing(), at(401), WIDE, Paint::Off);
    assert_shown(
        &lines.join("\n"),
        "
nightly-sales-k3f9x2ab  PREPARING  6m 41s
  extract  ██████████████████░░░░  STAGED  s1  4m 02s  1.2 GiB
  load     ██████████████████░░░░  STAGED  s3   37.0s  4.1 KiB
  report   ██████████████████░░░░  STAGED  s2  1m 58s  214 files
  votes  s1 read-only   s2 yes   s3 …",
    );
}

#[test]
fn a_picture_draws_each_task_below_what_it_waits_for() {
    let view = JobView { spec: Some(Arc::new(chain())), ..samples::reporting() };
    let lines = frame::picture(&view, at(60), Size { width: 120, ..WIDE }, Paint::Off);
    let of_tasks = &lines[1..4];
    for (line, begin) in of_tasks.iter().zip(["  extract  ", "    report ", "      load "]) {
        assert!(line.starts_with(begin), "{of_tasks:#?}");
    }
    assert!(
        of_tasks[1].ends_with("← extract") && of_tasks[2].ends_with("← report"),
        "{of_tasks:#?}"
    );
}

#[test]
fn a_job_is_explained_in_plain_words() {
    let view = JobView { spec: Some(Arc::new(chain())), ..samples::reporting() };
    let told = explain::explain(&view, &[], at(60)).text(Paint::Off, Some(80));
    for words in [
        "nightly-sales-k3f9x2ab is RUNNING",
        "0 of 3 tasks are staged",
        "extract runs on s1 since 58.0s; it says: 41%",
        "extract, before report can start.",
        "one record decides COMMIT",
        "votum cancel nightly-sales-k3f9x2ab",
    ] {
        let unfolded = told.replace("\n    ", " ");
        assert!(unfolded.contains(words), "{words}\n{told}");
    }
    assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
    let aborted = explain::explain(&samples::aborted(), &[], at(60)).text(Paint::Off, None);
    assert!(aborted.contains("Because") && aborted.contains("votum rerun"), "{aborted}");
}

#[test]
fn a_silent_worker_is_part_of_the_explanation() {
    let silent = "extract: worker s1 is not connected (silent for 4 s)";
    let view = JobView { state_message: silent.to_owned(), ..samples::reporting() };
    let told = explain::explain(&view, &[], at(60)).text(Paint::Off, None);
    assert!(told.contains(silent), "{told}");
}

#[test]
fn what_a_job_waits_for_is_told_once() {
    let mut view = samples::running();
    let mut waits = Waits::default();
    let mut look = |reason: &str| {
        for task in &mut view.tasks {
            task.state = TaskState::Ready;
            task.waits = Some(reason.to_owned());
        }
        waits.look(&view, at(60))
    };
    assert!(look("is placed next").is_empty(), "it may be over at once");
    let busy = |what: &str| format!("the only slot of worker s1 is busy with {what}");
    assert!(look(&busy("a-1/load")).is_empty());
    let told = look(&busy("a-1/load"));
    assert_eq!(told.len(), 1, "{told:?}");
    let expected = format!("waits extract, load, report: {}", busy("a-1/load"));
    assert!(told[0].ends_with(&expected), "{told:?}");
    assert!(look(&busy("b-2/load")).is_empty(), "another one, but the same");
    let lost = "it is pinned to worker s1, which is lost (silent for 3 s)";
    assert!(look(lost).is_empty());
    assert_eq!(look(&lost.replace('3', "5")).len(), 1);
    assert!(look(&lost.replace('3', "7")).is_empty());
}

#[test]
fn what_keeps_a_task_from_its_place_is_explained() {
    let mut view = samples::running();
    let task = view.tasks.iter_mut().find(|task| task.state == TaskState::Running).unwrap();
    task.state = TaskState::Ready;
    task.waits = Some("it is pinned to worker s1, which is drained by ana: disk".to_owned());
    let (name, waits) = (task.task.clone(), task.waits.clone().unwrap());
    let told = explain::explain(&view, &[], at(60)).text(Paint::Off, None);
    assert!(told.contains(&format!("  - {name}: {waits}.\n")), "{told}");
    assert!(told.contains("votum worker list"), "{told}");

    view.pause = Some(PauseView {
        by: "votum".to_owned(),
        reason: "task load failed".to_owned(),
        since: at(20),
        origin: PauseOrigin::Exhausted,
        stop_running: false,
    });
    let told = explain::explain(&view, &[], at(60)).text(Paint::Off, None);
    assert!(told.contains("votum retry nightly"), "{told}");
    assert!(told.contains("votum cancel nightly") && !told.contains("unpause"), "{told}");
}

/// A job whose tasks wait for each other: extract, then report, then load.
fn chain() -> votum_job::JobSpec {
    let file = "version: 1\nname: nightly-sales\ntasks:\n  extract: { run: 'true' }\n  \
                load: { run: 'true', needs: [report] }\n  \
                report: { run: 'true', needs: [extract] }\n";
    let (given, missing) = (GivenParams::default(), MissingParams::Refused);
    job_file::parse("job.yaml", file.as_bytes(), None, &given, missing).unwrap()
}

#[test]
fn a_task_that_says_how_far_it_is_is_shown_so() {
    let view = samples::reporting();
    let size = Size { width: 120, ..WIDE };
    assert_shown(
        &frame::picture(&view, at(60), size, Paint::Off).join("\n"),
        "
nightly-sales-k3f9x2ab  RUNNING  1m 00s
  extract  █████████░░░░░░░░░░░░░  RUNNING  s1  58.0s  41%  7/17 pages  7.2/min  done in 1m 23s  page 7
  load     ░░░░░░░░░░░░░░░░░░░░░░  WAITING          -
  report   ░░░░░░░░░░░░░░░░░░░░░░  WAITING          -
  1 task runs",
    );
    let screen = job::screen(&view, at(72), Paint::Off);
    let told = "
TASK     REPORTED  PROGRESS
extract  12s ago   41%  7/17 pages  7.2/min  done in 1m 11s  page 7; 1 warning, at last: page 6 was slow
";
    assert!(screen.contains(told), "\n{screen}");
    let list = jobs::list(&[view], false, at(72)).text(Paint::Off);
    assert!(list.contains("extract 41% (7/17 pages); 1 task runs"), "\n{list}");
}

#[test]
fn a_warning_outlives_the_task_that_gave_it() {
    let mut view = samples::reporting();
    let told = view.tasks[0].report.as_mut().unwrap();
    (told.rate, told.end) = (None, None);
    view.tasks[0].state = TaskState::Committed;
    let screen = job::screen(&view, at(72), Paint::Off);
    let said = "\nextract  12s ago   1 warning, at last: page 6 was slow\n";
    assert!(screen.contains(said), "\n{screen}");

    view.tasks[0].state = TaskState::Retrying;
    let screen = job::screen(&view, at(72), Paint::Off);
    let said =
        "\nextract  12s ago   41%  7/17 pages  page 7; 1 warning, at last: page 6 was slow\n";
    assert!(screen.contains(said), "\n{screen}");
}

#[test]
fn a_picture_is_never_higher_than_the_terminal() {
    let mut view = samples::running();
    let waiting = view.tasks[1].clone();
    for number in 0..2_000 {
        let mut task = waiting.clone();
        task.task = format!("more{number}").parse().unwrap();
        view.tasks.push(task);
    }
    let lines = frame::picture(&view, at(10), Size { height: 12, width: 50 }, Paint::Off);
    assert_shown(
        &lines.join("\n"),
        "
nightly-sales-k3f9x2ab  RUNNING  10.0s
  2003 tasks: 2002 WAITING  1 RUNNING
  extract  ░░░░░░░░░░░░░████░░░░░  RUNNING  s1  8.
  1 task runs",
    );
}

#[test]
fn colour_changes_no_word_of_a_picture() {
    let plain = frame::picture(&samples::preparing(), at(401), WIDE, Paint::Off);
    let coloured = frame::picture(&samples::preparing(), at(401), WIDE, Paint::On);
    let stripped: Vec<String> = coloured.iter().map(|line| without_colour(line)).collect();
    assert_ne!(plain, coloured);
    assert_eq!(plain, stripped);
}

fn without_colour(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn a_pipe_gets_one_line_for_each_change() {
    let (running, preparing) = (samples::running(), samples::preparing());
    let mut lines = timeline::changes(None, &running, at(2));
    lines.extend(timeline::changes(Some(&running), &preparing, at(401)));
    lines.extend(timeline::changes(Some(&preparing), &samples::committed(), at(404)));
    assert_shown(
        &lines.join("\n"),
        "
    2.0s  job nightly-sales-k3f9x2ab RUNNING
    2.0s  task extract RUNNING on s1
  6m 41s  job nightly-sales-k3f9x2ab PREPARING
  6m 41s  task extract STAGED on s1 after 4m 02s: data 1.2 GiB
  6m 41s  task load STAGED on s3 after 37.0s: data 4.1 KiB
  6m 41s  task report STAGED on s2 after 1m 58s: data 214 files
  6m 41s  vote s1 read-only
  6m 41s  vote s2 yes
  6m 44s  vote s3 yes
  6m 44s  decision COMMIT is durable
  6m 44s  task extract COMMITTED on s1
  6m 44s  task load COMMITTED on s3
  6m 44s  task report COMMITTED on s2",
    );
}

#[test]
fn a_job_in_line_says_whom_it_waits_for() {
    let mut view = samples::running();
    view.state = JobState::Queued;
    let (key, holder) = ("nightly".parse().unwrap(), "nightly-sales-7k2m9x4p".parse().unwrap());
    view.queue = Some(QueueView { key, holder: Some(holder), ahead: 2 });
    view.state_message = "waits for nightly-sales-7k2m9x4p, which holds the key nightly; 2 wait \
                          before it"
        .to_owned();
    let mut before = view.clone();
    before.state_message = "waits for another".to_owned();
    let lines = timeline::changes(Some(&before), &view, at(60));
    assert_eq!(
        lines,
        ["  1m 00s  job nightly-sales-k3f9x2ab QUEUED: waits for nightly-sales-7k2m9x4p, which \
          holds the key nightly; 2 wait before it"]
    );
    assert_eq!(timeline::changes(Some(&view), &view, at(61)), [""; 0]);
    let explained = explain::explain(&view, &[], at(60));
    let waits =
        "nightly-sales-7k2m9x4p, which holds the key nightly, and 2 jobs that wait before it.";
    assert_eq!(explained.waits, [waits]);
    assert!(explained.commands.iter().any(|line| line.ends_with("explain nightly-sales-7k2m9x4p")));
}

#[test]
fn nothing_new_makes_no_line() {
    let view = samples::running();
    assert!(timeline::changes(Some(&view), &view, at(9)).is_empty());
}

#[test]
fn a_no_vote_tells_its_reason() {
    assert_eq!(
        job::votes(&samples::voted_down()).unwrap(),
        "s1 read-only   s2 yes   s3 no (/srv/load exists)"
    );
}

#[test]
fn a_list_has_one_line_for_each_job() {
    let views = [samples::running(), samples::aborted()];
    assert_shown(
        &jobs::list(&views, false, at(1200)).text(Paint::Off),
        "
JOB                     STATE    TASKS  AGE  BY   NOTE
nightly-sales-k3f9x2ab  RUNNING    0/3  20m  ana  1 task runs
nightly-sales-k3f9x2ab  ABORTED    2/3  20m  ana  task load failed: exit code 65 after 3 attempts on s3",
    );
}

#[test]
fn the_exit_code_tells_cancelled_from_aborted() {
    let mut view = samples::aborted();
    assert_eq!(outcome::exit_of(&view), Exit::Aborted);
    view.cause.as_mut().unwrap().reason = "CANCELLED".to_owned();
    assert_eq!(outcome::exit_of(&view), Exit::Cancelled);
    assert_eq!(outcome::exit_of(&samples::committed()), Exit::Done);
}

#[test]
fn the_last_sentence_names_where_outputs_are_visible() {
    assert_eq!(
        outcome::sentence(&samples::committed()),
        "committed nightly-sales-k3f9x2ab in 6m 44s: 2 outputs visible on s2, s3"
    );
    assert_eq!(
        outcome::sentence(&samples::aborted()),
        "aborted nightly-sales-k3f9x2ab in 18m 22s: nothing became visible"
    );
}

#[test]
fn the_cluster_fits_on_one_screen() {
    let view = ClusterView {
        cluster: ClusterId(Uuid::nil()),
        epoch: Epoch(12),
        version: "0.1.0".to_owned(),
        started: at(0),
        jobs: BTreeMap::from([(JobState::Running, 1), (JobState::Committed, 412)]),
        kept: 2,
        workers: BTreeMap::from([(WorkerState::Ready, 2), (WorkerState::Lost, 1)]),
        log_stale: true,
        quarantined: vec![QuarantinedStream {
            stream: "job/nightly-1".to_owned(),
            problem: "record 3 of 9 cannot be read".to_owned(),
        }],
        journal: JournalView { forced_records: 7, syncs: 5, bytes: 4_198 },
        index: IndexState::CaughtUp,
        mixed: 1,
        limits: Vec::new(),
        answered: None,
    };
    assert_shown(
        &cluster::status(&view, "2 open", "http://127.0.0.1:7070", at(90_000), Paint::Off),
        "
coordinator  127.0.0.1:7070  v0.1.0  epoch 12  up 1d
workers      2 ready, 1 lost
open jobs    1 running, 412 committed (2 aborted jobs keep what they staged); 1 MIXED, those that are closed included
cases        2 open
journal      7 forced records in 5 syncs, 4.1 KiB written, index caught up
STALE LOG this coordinator's log may lack decisions; nothing is decided from it until a person has settled that:  votum case list
QUARANTINED job/nightly-1: record 3 of 9 cannot be read",
    );
}

#[test]
fn a_worker_is_shown_with_its_room_and_its_roots() {
    let mut view = WorkerView {
        worker: "s1".parse().unwrap(),
        uid: WorkerUid(Uuid::nil()),
        incarnation: Incarnation(Uuid::nil()),
        state: WorkerState::Ready,
        labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
        version: "0.1.0".to_owned(),
        artifact_address: "127.0.0.1:7071".to_owned(),
        publish_roots: vec!["/srv/www".to_owned()],
        last_seen: Some(at(0)),
        running: Vec::new(),
        slots: 4,
        free_bytes: Some(5 << 30),
        holds: vec!["sales-1".parse().unwrap()],
        keeps: Vec::new(),
        drain: Some(DrainView {
            by: "carol".to_owned(),
            reason: "another disk".to_owned(),
            ordered: at(0),
            deadline: Some(at(62)),
        }),
        protocol: 2,
        damages: Vec::new(),
        limits: Vec::new(),
        clock_ahead_ms: None,
    };
    assert!(cluster::worker(&view, at(2)).text(Paint::Off).contains(
        "ordered by carol 2s ago: another disk; nothing runs there, outputs of 1 open job are staged \
         there; what runs is stopped in 1m 00s"
    ));
    assert_shown(
        &cluster::workers(std::slice::from_ref(&view), at(2)).text(Paint::Off),
        "
WORKER  STATE  TASKS     FREE  SEEN    LABELS  PUBLISHES BELOW
s1      READY    0/4  5.0 GiB  2s ago  zone=a  /srv/www",
    );
    view.state = WorkerState::Drained;
    assert!(cluster::worker(&view, at(2)).text(Paint::Off).contains(
        "ordered by carol 2s ago: another disk; nothing of any open job is there: its machine may \
         be switched off"
    ));
}

#[test]
fn a_quarantined_job_tells_what_is_known_and_what_to_do() {
    let view = samples::quarantined();
    assert_shown(
        &job::screen(&view, at(90), Paint::Off),
        r#"
Job       sales-k3f9x2ab  (00000000-0000-0000-0000-000001a1f3c2)  by ana, 1m ago, for 1m 30s
State     QUARANTINED  record 5 of 9 cannot be read; nothing of it is run, decided or discarded
Damage    record 5 of 9 ("ended", forced, version 1, number 812 of the log): it cannot be decoded: missing field `end`
Last read RUNNING at 2026-11-21 01:00:03Z, at the record before
Held by   s1 lists 1 attempt that ended
          s2 had part in it, says the log
Means     workers that ask about it are told to ask again, never COMMIT or ABORT
          a damaged record was forced: it may be the decision
          what is staged stays where it is, invisible; what runs is left alone
Do        copy the coordinator's data directory before anything else
          report it with that copy: a record was written that cannot be read
          submit the job again if its results are wanted; the id stays taken
On worker s3: record 2 of 4 cannot be read: it cannot be decoded; it keeps what it has of the job, runs nothing of it and votes NO

TASK     STATE    WORKER  TRIES  TOOK  OUTPUTS
extract  WAITING  -           0  -     -
load     WAITING  -           0  -     -
report   WAITING  -           0  -     -

  case:    votum case show sales-k3f9x2ab/log:damaged
  others:  votum list --state quarantined"#,
    );
    assert_eq!(outcome::exit_of(&view), Exit::Failure);
}

#[test]
fn what_a_decision_leaves_to_do_is_shown() {
    let view = samples::settling();
    let shown = job::screen(&view, at(1_110), Paint::Off);
    assert_shown(
        shown.split("\n\n").skip(4).collect::<Vec<_>>().join("\n\n").as_str(),
        "
AFTERWARDS  KIND          STATE    TRIES  WHERE        NEXT    LAST
extract     compensation  WAITING      0  -            -       -
load        compensation  CASE         3  s3           -       exit code 7
page        effect        DUE          1  coordinator  in 12s  outcome unknown: no answer within 10 s
post        effect        RUNNING      1  s1           -       -
tell        effect        CLOSED       2  s1           -       give-up by ana: the receiver is gone

  case:  votum case show nightly-sales-k3f9x2ab/load
  logs:  votum logs nightly-sales-k3f9x2ab/load",
    );
}

#[test]
fn a_decided_job_says_what_goes_on_after_it() {
    let view = samples::settling();
    assert_eq!(
        hooks::goes_on(&view).unwrap(),
        "2 effects and 1 compensation go on, 1 case waits for a person:  \
         votum show nightly-sales-k3f9x2ab"
    );
    assert_eq!(outcome::exit_of(&view), Exit::Aborted);
    assert_eq!(hooks::goes_on(&samples::committed()), None);
    let picture = frame::picture(&view, at(1_110), WIDE, Paint::Off).join("\n");
    assert!(picture.contains("then  compensation of extract WAITING"), "{picture}");
}

#[test]
fn each_change_of_a_hook_is_one_line() {
    let before = samples::aborted();
    let after = samples::settling();
    assert_shown(
        &timeline::changes(Some(&before), &after, at(1_110)).join("\n"),
        "
 18m 22s  compensation of extract WAITING
 18m 22s  compensation of load CASE:  votum case show nightly-sales-k3f9x2ab/load
 18m 22s  effect page DUE: outcome unknown: no answer within 10 s
 18m 22s  effect post RUNNING on s1
 18m 22s  effect tell CLOSED: give-up by ana: the receiver is gone",
    );
    assert!(timeline::changes(Some(&after), &after, at(1_110)).is_empty());
}

#[test]
fn a_mix_names_who_stands_otherwise_and_has_a_code_of_its_own() {
    let given_up = ForcedView {
        worker: "s3".parse().unwrap(),
        uid: WorkerUid(Uuid::nil()),
        kind: ForcedKind::GivenUp,
        by: "ana".to_owned(),
        reason: "its disk is gone".to_owned(),
        at: at(900),
        contradicts: true,
        healed: None,
        removed: None,
        evidence: Vec::new(),
    };
    let mut view = samples::committed();
    view.forced = vec![given_up];
    assert_eq!((outcome::exit_of(&view), view.word()), (Exit::Mixed, "COMMITTED, MIXED"));
    assert_eq!((Exit::Mixed.code(), Exit::HeldBack.code()), (9, 10));
    let sentence = outcome::sentence(&view);
    assert!(sentence.contains("the outputs of s3 are not published"), "{sentence}");
    let shown = job::screen(&view, at(1_020), Paint::Off);
    assert!(shown.contains("given up  s3      ana  2m ago  its disk is gone"), "{shown}");
    assert!(shown.contains("MIXED until it comes back"), "{shown}");

    view.forced[0].healed = Some(at(960));
    assert_eq!((outcome::exit_of(&view), view.word()), (Exit::Done, "COMMITTED"));
    let shown = job::screen(&view, at(1_020), Paint::Off);
    assert!(shown.contains("healed 2026-11-21 01:16:00Z"), "{shown}");
}

#[test]
fn a_commit_that_a_lost_worker_holds_back_ends_the_waiting() {
    let mut view = samples::committed();
    view.state = JobState::Committing;
    view.held_back = vec!["s3".parse().unwrap()];
    assert_eq!(outcome::exit_of(&view), Exit::HeldBack);
    let sentence = outcome::sentence(&view);
    assert!(sentence.contains("s3, lost, holds its outputs back"), "{sentence}");
    let shown = job::screen(&view, at(1_020), Paint::Off);
    let command = format!("votum case show {}/worker:s3", view.job);
    assert!(shown.contains(&command), "{shown}");
}
