//! Single claims about placement, deadlines and replay.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use votum_ids::{AttemptId, Epoch, FencingToken, TaskId, WorkerId};
use votum_job::{Amount, Enforced, FailureKind, InputSource, Progress, SelfReport};
use votum_machine::{Machine as _, Moment, WallTime};
use votum_schedule::{Action, Config, CorruptSchedule, Drain, Event, Record, Scheduler};

use crate::{
    cast::{attempt, failed, job, registration, sealed, spec, submission, worker},
    world::World,
};

#[test]
fn the_freest_worker_is_chosen_then_the_roomiest() {
    let mut world = World::new();
    for (name, slots, bytes) in [("alice", 1, 900), ("bob", 2, 100), ("carol", 2, 500)] {
        ready(&mut world, name, slots, &[]);
        world.step(Event::Heard { worker: worker(name), free_bytes: Some(bytes) });
    }
    submit(&mut world, "sales", &["a", "b", "c", "d", "e"]);
    let chosen = ["carol", "bob", "alice", "carol", "bob"].map(worker);
    assert_eq!(started(&world), chosen);
}

#[test]
fn labels_choose_among_the_workers() {
    let mut world = World::new();
    ready(&mut world, "alice", 9, &[]);
    ready(&mut world, "bob", 1, &[("role", "etl")]);
    submit(&mut world, "sales", &["a label role=etl", "b label role=etl", "c label role=web"]);
    assert_eq!(started(&world), [worker("bob")]);
    assert_eq!(
        why(&world, "b"),
        "the only slot of the only connected worker with role=etl is busy with sales/a"
    );
    assert_eq!(why(&world, "c"), "no worker has the label role=web");
}

#[test]
fn a_limited_task_goes_where_its_limit_holds() {
    let (label, value) = Enforced::Memory.label();
    let mut world = World::new();
    ready(&mut world, "alice", 9, &[]);
    submit(&mut world, "sales", &["a memory 1024", "b on alice memory 1024", "c on alice"]);
    assert_eq!(started(&world), [worker("alice")], "c alone has no limit");
    assert_eq!(why(&world, "a"), "no worker has the label votum.limit.memory=enforced");
    assert_eq!(
        why(&world, "b"),
        "worker alice does not have the labels votum.limit.memory=enforced"
    );

    ready(&mut world, "bob", 1, &[(label.as_str(), value.as_str())]);

    assert_eq!(started(&world), ["alice", "bob"].map(worker));
}

#[test]
fn the_holder_of_the_largest_input_is_preferred() {
    let mut world = World::new();
    ready(&mut world, "alice", 2, &[]);
    submit(&mut world, "sales", &["a on alice makes rows", "b reads a.rows publishes table"]);
    ready(&mut world, "bob", 9, &[]);
    seal(&mut world, "alice", "a#1.1");
    assert_eq!(started(&world), ["alice", "alice"].map(worker));
}

#[test]
fn last_words_outlive_their_attempt_until_the_next() {
    let mut world = World::new();
    ready(&mut world, "alice", 1, &[]);
    submit(&mut world, "sales", &["a attempts 2 backoff 1s publishes rows"]);
    let report = SelfReport { warnings: 1, ..SelfReport::default() };
    let (report, age) = (Box::new(report), Duration::ZERO);
    let (alice, first) = (worker("alice"), attempt("a#1.1"));
    world.step(Event::Reported { worker: alice.clone(), attempt: first.clone(), report, age });
    let told = |world: &World| {
        let task = world.scheduler.task(world.now(), &job("sales"), &TaskId::new("a").unwrap());
        task.unwrap().report.map(|told| told.report.warnings)
    };

    let end = failed(FailureKind::ExitCode(1));
    world.step(Event::Ended { worker: alice, attempt: first, end });
    assert_eq!(told(&world), Some(1));
    world.restart(world.records.len());
    assert_eq!(told(&world), Some(1), "it is recorded with the end");

    ready(&mut world, "alice", 1, &[]);
    world.pass(Duration::from_secs(2));
    assert_eq!(started(&world).len(), 2, "the next attempt began");
    assert_eq!(told(&world), None);
}

#[test]
fn nobody_estimates_the_end_of_what_cannot_be_heard() {
    let mut world = World::new();
    ready(&mut world, "alice", 1, &[]);
    submit(&mut world, "sales", &["a publishes rows"]);
    for done in [10, 20] {
        world.pass(Duration::from_secs(5));
        world.step(Event::Heard { worker: worker("alice"), free_bytes: None });
        let amount = Amount::Counted { done, total: 1_000, unit: "rows".to_owned() };
        let progress = Some(Progress { amount, message: String::new() });
        let report = Box::new(SelfReport { progress, ..SelfReport::default() });
        let (worker, attempt, age) = (worker("alice"), attempt("a#1.1"), Duration::ZERO);
        world.step(Event::Reported { worker, attempt, report, age });
    }
    let told = |world: &World| {
        let task = world.scheduler.task(world.now(), &job("sales"), &TaskId::new("a").unwrap());
        task.unwrap().report.unwrap()
    };
    assert!(told(&world).end.is_some() && told(&world).rate.is_some());
    let incarnation = world.speaking.remove(&worker("alice")).unwrap();
    world.step(Event::Disconnected { worker: worker("alice"), incarnation });
    assert_eq!((told(&world).rate, told(&world).end), (None, None));
    assert!(told(&world).report.progress.is_some(), "what it has said stays");
}

#[test]
fn a_worker_that_takes_nothing_is_named_with_the_reason() {
    let mut world = World::new();
    ready(&mut world, "alice", 1, &[("role", "etl")]);
    ready(&mut world, "bob", 1, &[]);
    let (by, reason) = ("ana".to_owned(), "another disk".to_owned());
    let drain = Drain { by, reason, ordered: WallTime(0), time_limit: None };
    world.step(Event::DrainOrdered { worker: worker("alice"), drain });
    submit(
        &mut world,
        "sales",
        &["a on alice", "b label role=etl", "c on bob publishes x", "d on bob", "e on carol"],
    );
    let drained = "is drained by ana: another disk";
    assert_eq!(why(&world, "a"), format!("it is pinned to worker alice, which {drained}"));
    assert_eq!(why(&world, "b"), format!("no worker with role=etl can take it: alice {drained}"));
    assert_eq!(why(&world, "d"), "the only slot of worker bob is busy with sales/c");
    assert_eq!(why(&world, "e"), "no worker named carol is known");

    seal(&mut world, "bob", "c#1.1");
    let incarnation = world.speaking.remove(&worker("bob")).unwrap();
    world.step(Event::Disconnected { worker: worker("bob"), incarnation });
    assert_eq!(why(&world, "c"), "its outputs lie on worker bob, which is not connected");
}

#[test]
fn a_failed_attempt_is_followed_by_one_elsewhere() {
    let mut world = World::new();
    ready(&mut world, "alice", 9, &[]);
    submit(&mut world, "sales", &["a attempts 2 backoff 1s publishes rows"]);
    ready(&mut world, "bob", 1, &[]);
    let end = failed(FailureKind::ExitCode(1));
    world.step(Event::Ended { worker: worker("alice"), attempt: attempt("a#1.1"), end });
    world.pass(Duration::from_secs(2));
    assert_eq!(started(&world), ["alice", "bob"].map(worker));
}

#[test]
fn the_oldest_job_is_served_first() {
    let mut world = World::new();
    submit(&mut world, "zebra", &["a publishes x", "b publishes y"]);
    submit(&mut world, "ant", &["a publishes z"]);
    ready(&mut world, "alice", 1, &[]);
    seal(&mut world, "alice", "zebra/a#1.1");
    seal(&mut world, "alice", "zebra/b#1.2");
    let jobs: Vec<String> = assignments(&world).map(|a| a.attempt.job.to_string()).collect();
    assert_eq!(jobs, ["zebra", "zebra", "ant"]);
}

#[test]
fn a_consumer_waits_for_the_holder_of_its_input() {
    let mut world = World::new();
    ready(&mut world, "alice", 1, &[]);
    submit(&mut world, "sales", &["a on alice makes rows", "b on bob reads a.rows publishes t"]);
    seal(&mut world, "alice", "a#1.1");
    let incarnation = world.speaking.remove(&worker("alice")).unwrap();
    world.step(Event::Disconnected { worker: worker("alice"), incarnation });
    ready(&mut world, "bob", 1, &[]);
    assert_eq!(why(&world, "b"), "waits for worker alice, which holds an input, to come back");
    world.step(Event::Joined(registration("alice", 1, 9, 1)));
    list_sealed(&mut world, "alice", "a#1.1");
    world.step(Event::InventoryEnded { worker: worker("alice") });
    world.settle();
    assert_eq!(started(&world), ["alice", "bob"].map(worker));
}

#[test]
fn an_assignment_says_where_its_inputs_are() {
    let mut world = World::new();
    ready(&mut world, "alice", 1, &[]);
    submit(&mut world, "sales", &["a on alice makes rows", "b reads a.rows publishes t"]);
    seal(&mut world, "alice", "a#1.1");
    let assignment = assignments(&world).last().unwrap();
    let [input] = assignment.inputs.as_slice() else { panic!("{assignment:?}") };
    let InputSource::Staged { holder, address, attempt: source, bytes, .. } = &input.source else {
        panic!("{input:?}")
    };
    assert_eq!((holder, address.as_str()), (&worker("alice"), "alice:7171"));
    assert_eq!((source, *bytes), (&attempt("a#1.1"), 100));
    assert_eq!((assignment.number, assignment.time_limit), (1, Duration::from_hours(1)));
}

#[test]
fn an_attempt_may_not_outlive_its_job() {
    let mut world = World::new();
    submit(&mut world, "sales", &["timeout 10m", "a publishes rows"]);
    world.pass(Duration::from_mins(4));
    ready(&mut world, "alice", 1, &[]);
    let assignment = assignments(&world).last().unwrap();
    assert_eq!(assignment.time_limit, Duration::from_mins(6));
}

#[test]
fn an_attempt_past_its_limit_is_stopped() {
    let mut world = World::new();
    ready(&mut world, "alice", 1, &[]);
    submit(&mut world, "sales", &["a timeout 5m publishes rows"]);
    world.step(Event::Started { worker: worker("alice"), attempt: attempt("a#1.1") });
    world.pass(Duration::from_mins(5));
    assert!(!world.told.contains("stop"), "{}", world.told);
    world.pass(Duration::from_secs(11));
    assert!(world.told.contains("alice <- stop sales/a#1.1"), "{}", world.told);
}

#[test]
fn a_clock_that_went_back_leaves_the_rest_of_a_deadline() {
    let received = Record::Received {
        job: job("sales"),
        spec: Arc::new(spec("sales", &["timeout 10m", "a publishes rows"])),
        submission: submission(),
        in_line: None,
    };
    let registered = Record::Registered(registration("alice", 1, 1, 1));
    // Four minutes after the receipt the log ends; then the wall clock fell back by an hour.
    let mut scheduler = Scheduler::new(Config::default(), Epoch(2), WallTime(0));
    scheduler.replay(WallTime(3_600_000), &received).unwrap();
    scheduler.replay(WallTime(3_840_000), &registered).unwrap();
    let _ = scheduler.step(Moment::START, Event::Tick);
    let deadline = scheduler.summary(&job("sales")).unwrap().deadline;
    assert_eq!(deadline, Some(Moment::since_start(Duration::from_mins(6))));
}

#[test]
fn a_record_that_cannot_have_happened_is_corrupt() {
    let mut scheduler = Scheduler::new(Config::default(), Epoch(2), WallTime(0));
    let mut replay = |record: Record| scheduler.replay(WallTime(1), &record);
    let started = Record::Started { attempt: attempt("a#1.1") };
    let unknown = CorruptSchedule::UnknownJob { job: job("sales") };
    assert_eq!(replay(started.clone()), Err(unknown));
    let received = Record::Received {
        job: job("sales"),
        spec: Arc::new(spec("sales", &["a publishes rows"])),
        submission: submission(),
        in_line: None,
    };
    assert_eq!(replay(received.clone()), Ok(()));
    assert_eq!(replay(received), Err(CorruptSchedule::DuplicateJob { job: job("sales") }));
    let not_live = CorruptSchedule::NotLive { attempt: attempt("a#1.1") };
    assert_eq!(replay(started), Err(not_live));
    let task = TaskId::new("b").unwrap();
    let no_task = CorruptSchedule::UnknownTask { job: job("sales"), task };
    assert_eq!(replay(assigned("b#1.1")), Err(no_task));
    let attempt_id = attempt("a#2.1");
    let future = CorruptSchedule::FutureToken { attempt: attempt_id, epoch: Epoch(2) };
    assert_eq!(replay(assigned("a#2.1")), Err(future));
    assert_eq!(replay(assigned("a#1.1")), Ok(()));
    let taken = CorruptSchedule::NotPending { attempt: attempt("a#1.2") };
    assert_eq!(replay(assigned("a#1.2")), Err(taken));
}

#[test]
fn jobs_replayed_in_any_order_keep_their_age() {
    let mut scheduler = Scheduler::new(Config::default(), Epoch(2), WallTime(1_000));
    for (name, received) in [("ant", 20), ("zebra", 10)] {
        let spec = Arc::new(spec(name, &["a publishes x"]));
        let submission = submission();
        let record = Record::Received { job: job(name), spec, submission, in_line: None };
        scheduler.replay(WallTime(received), &record).unwrap();
        // Setting a job aside in between disturbs nothing.
        let _ = scheduler.step(Moment::START, Event::Closed { job: job("unreadable") });
    }
    let _ = scheduler.step(Moment::START, Event::Joined(registration("alice", 1, 1, 1)));
    let ended = Event::InventoryEnded { worker: worker("alice") };
    let mut actions = scheduler.step(Moment::START, ended).actions;
    while scheduler.next_deadline().is_some_and(|due| due <= Moment::START) {
        actions.extend(scheduler.step(Moment::START, Event::Tick).actions);
    }
    let mut started = actions.iter().filter_map(|action| match action {
        Action::Start(assignment) => Some(assignment.attempt.job.as_str()),
        _ => None,
    });
    assert_eq!((started.next(), started.next()), (Some("zebra"), None));
}

#[test]
fn a_known_worker_is_one_that_ever_joined() {
    let mut world = World::new();
    ready(&mut world, "alice", 1, &[]);
    submit(&mut world, "sales", &["a publishes rows"]);
    world.restart(world.records.len());
    assert!(world.scheduler.is_known_worker(&worker("alice")));
    assert!(!world.scheduler.is_known_worker(&worker("bob")));
    assert_eq!(world.scheduler.involved(&job("sales")), [worker("alice")].into());
}

/// The number of steps is what is claimed: no search over everything that waits.
#[test]
fn a_large_graph_takes_few_steps_a_task() {
    let lines: Vec<String> = (0..10_000)
        .map(|at| if at == 0 { "t0 makes r".into() } else { format!("t{at} after t{}", at / 10) })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut scheduler = Scheduler::new(Config::default(), Epoch(1), WallTime(0));
    let mut steps = 0;
    let mut queue = Vec::new();
    let mut step = |scheduler: &mut Scheduler, event: Event, queue: &mut Vec<AttemptId>| {
        steps += 1;
        let reaction = scheduler.step(Moment::START, event);
        queue.extend(reaction.actions.into_iter().filter_map(|action| match action {
            Action::Start(assignment) => Some(assignment.attempt),
            _ => None,
        }));
    };
    let spec = Arc::new(spec("large", &lines));
    let task = spec.tasks.values().next_back().unwrap().clone();
    let alice = worker("alice");
    step(&mut scheduler, Event::Joined(registration("alice", 1, 1, 64)), &mut queue);
    step(&mut scheduler, Event::InventoryEnded { worker: alice.clone() }, &mut queue);
    let submitted = Event::Submitted { job: job("large"), spec, submission: submission() };
    step(&mut scheduler, submitted, &mut queue);
    loop {
        while scheduler.next_deadline().is_some_and(|due| due <= Moment::START) {
            step(&mut scheduler, Event::Tick, &mut queue);
        }
        let Some(attempt) = queue.pop() else { break };
        let end = sealed(&task, 1);
        step(&mut scheduler, Event::Ended { worker: alice.clone(), attempt, end }, &mut queue);
    }
    assert_eq!(scheduler.summary(&job("large")).unwrap().staged, 10_000);
    assert!(steps < 40_000, "{steps} steps");
}

fn ready(world: &mut World, name: &str, slots: u32, labels: &[(&str, &str)]) {
    let mut registration = registration(name, 1, 1, slots);
    let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into()));
    registration.labels = labels.collect::<BTreeMap<_, _>>();
    world.speaking.insert(worker(name), registration.incarnation);
    world.step(Event::Joined(registration));
    world.step(Event::InventoryEnded { worker: worker(name) });
    world.settle();
}

fn submit(world: &mut World, name: &str, lines: &[&str]) {
    let spec = Arc::new(spec(name, lines));
    world.step(Event::Submitted { job: job(name), spec, submission: submission() });
    world.settle();
}

fn seal(world: &mut World, name: &str, which: &str) {
    let attempt = attempt(which);
    let end = sealed(&world.scheduler.spec(&attempt.job).unwrap().tasks[&attempt.task], 1);
    world.step(Event::Ended { worker: worker(name), attempt, end });
    world.settle();
}

fn list_sealed(world: &mut World, name: &str, which: &str) {
    let attempt = attempt(which);
    let end = sealed(&world.scheduler.spec(&attempt.job).unwrap().tasks[&attempt.task], 1);
    let state = votum_job::AttemptState::Ended(end);
    let listed = votum_job::ListedAttempt { attempt, number: 1, state };
    world.step(Event::Listed { worker: worker(name), listed });
}

fn assigned(which: &str) -> Record {
    let attempt = attempt(which);
    let FencingToken { counter, .. } = attempt.token;
    let number = u32::try_from(counter).unwrap();
    let uid = registration("alice", 1, 1, 1).uid;
    Record::Assigned { attempt, number, worker: worker("alice"), uid, exclusive: false }
}

fn assignments(world: &World) -> impl Iterator<Item = &votum_job::Assignment> {
    world.actions.iter().filter_map(|action| match action {
        Action::Start(assignment) => Some(&**assignment),
        _ => None,
    })
}

fn started(world: &World) -> Vec<WorkerId> {
    assignments(world).map(|assignment| assignment.worker.clone()).collect()
}

fn why(world: &World, task: &str) -> String {
    let task = TaskId::new(task).unwrap();
    world.scheduler.task(world.now(), &job("sales"), &task).unwrap().waits.unwrap()
}
