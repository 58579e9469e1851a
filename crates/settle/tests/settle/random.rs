//! Random events, most of them out of turn: the records alone bring back every answer.
//!
//! One seed decides everything. Again and again a machine that was made from the records so far
//! goes on beside the live one, from a moment at which neither waits for a deadline, and both must
//! answer every further event alike.

use std::time::Duration;

use votum_ids::{AttemptId, JobId};
use votum_job::{AttemptState, ListedAttempt};
use votum_machine::{Machine as _, Moment};
use votum_settle::{Action, Event, HookState, Record, Resolution, Settlement, Trial};

use crate::{
    cast::{decision, end, host, task, worker},
    world::World,
};

#[test]
fn records_alone_bring_back_every_answer() {
    let seeds = std::env::var("VOTUM_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    for seed in 1..=seeds {
        run(seed);
    }
}

#[test]
fn one_seed_twice_tells_one_story() {
    assert_eq!(run(42), run(42));
}

/// Plays one seed and returns the records that it made.
fn run(seed: u64) -> Vec<Record> {
    let mut chaos = Chaos::new(seed);
    for step in 0..STEPS {
        chaos.act();
        let (live, later) = chaos.portraits();
        assert_eq!(live, later, "seed {seed}, step {step}");
        if step % 20 == 0 {
            chaos.compare(seed);
        }
    }
    chaos.world.records.into_iter().map(|(_, record)| record).collect()
}

struct Chaos {
    random: Random,
    world: World,
    /// Every try that was ever ordered.
    tries: Vec<AttemptId>,
    jobs: Vec<JobId>,
    seen: usize,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut chaos =
            Self { random, world: World::new(), tries: Vec::new(), jobs: Vec::new(), seen: 0 };
        for name in ["sales", "nightly"] {
            chaos.decide(JobId::new(name).unwrap());
        }
        chaos
    }

    /// Decides a job with random effects and compensations.
    fn decide(&mut self, job: JobId) {
        let mut lines = Vec::new();
        for (at, name) in TASKS.iter().enumerate() {
            let mut line = format!("task {name} undone attempts {}", 1 + self.random.below(3));
            for before in &TASKS[..at] {
                if self.random.below(2) == 0 {
                    line += &format!(" after {before}");
                }
            }
            if self.random.below(2) == 0 {
                line += " elsewhere";
            }
            lines.push(line);
            if self.random.below(4) > 0 {
                lines.push(format!("started {name} by alice 0.{}", at + 1));
            }
        }
        let verdict = if self.random.below(2) == 0 { "commit" } else { "abort" };
        for (at, name) in EFFECTS.iter().enumerate() {
            let trigger = if at == 2 { "end" } else { verdict };
            let mut line =
                format!("effect {name} at {trigger} attempts {}", 1 + self.random.below(3));
            if at > 0 && self.random.below(2) == 0 {
                line += &format!(" needs {}", EFFECTS[at - 1]);
            }
            for option in [" webhook", " park"] {
                if self.random.below(2) == 0 {
                    line += option;
                }
            }
            lines.push(line);
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        self.world.step(decision(&job, verdict, &lines));
        self.jobs.push(job);
    }

    /// Does one random thing.
    fn act(&mut self) {
        if self.random.below(30) == 0 {
            self.world.restart(self.world.records.len());
        } else if self.random.below(3) == 0 {
            let wait = Duration::from_millis(self.random.below(9_000));
            self.world.pass(wait);
        } else {
            let event = self.any_event();
            match &event {
                Event::HostLost { .. } | Event::HostGone { .. } => self.world.exhaust(&event),
                _ => {
                    self.world.step(event);
                }
            }
        }
        for action in &self.world.actions[self.seen..] {
            if let Action::Start(order) = action {
                self.tries.push(order.attempt.clone());
            }
        }
        self.seen = self.world.actions.len();
    }

    fn any_event(&mut self) -> Event {
        let host = host(self.pick(&["alice", "bob", "alice=2"]));
        let job = self.pick(&self.jobs.clone());
        let hook = task(self.pick(&[TASKS, EFFECTS].concat()));
        let attempt = match self.tries.len() {
            0 => AttemptId { job: job.clone(), task: hook.clone(), token: self.world.next_token() },
            _ => self.pick(&self.tries.clone()),
        };
        let how: &[&str] =
            self.pick(&[&["sealed"][..], &["exit", "3"], &["signal", "9"], &["spawn"]]);
        match self.random.below(24) {
            0..=7 => Event::Offered { job, hook, host, token: self.world.next_token() },
            8 => Event::Unplaceable { job, hook, message: "nobody".into() },
            9..=12 => Event::Ended { host, attempt, end: Box::new(end(how)) },
            13..=16 => {
                let number = 1 + u32::try_from(self.random.below(4)).unwrap();
                let trial = Trial::of_status(self.pick(&[200, 404, 503, 504]));
                Event::Answered { job, hook, number, trial }
            }
            17 => Event::Joined { host },
            18..=19 => {
                let live = self.random.below(2) == 0;
                let state = if live { AttemptState::Live } else { AttemptState::Ended(end(how)) };
                Event::Listed { host, listed: ListedAttempt { attempt, number: 1, state } }
            }
            20 => Event::InventoryEnded { host },
            21 => Event::HostLost { worker: worker(host.worker.as_str()) },
            22 => Event::HostGone { host },
            _ => {
                let resolution = self.pick(&Resolution::ALL);
                let (by, reason) = ("ana".to_owned(), "I looked".to_owned());
                Event::ResolutionAsked { job, hook, resolution, by, reason }
            }
        }
    }

    fn portraits(&self) -> (String, String) {
        let later = self.world.replayed();
        let both = [&self.world.settlement, &later].map(|settlement| {
            self.jobs.iter().map(|job| World::portrait(settlement, job)).collect::<String>()
        });
        both.into()
    }

    /// Lets a machine that was made from the records answer beside the live one.
    fn compare(&mut self, seed: u64) {
        let views = self.jobs.iter().flat_map(|job| self.world.settlement.hooks(job));
        let mut states = views.map(|view| view.state);
        if states.any(|state| state == HookState::Running { worker: None }) {
            // A restart cannot know the answer to a request.
            return;
        }
        let mut pair = [self.world.settlement.clone(), self.world.replayed()];
        let reunions = ["alice", "bob", "alice=2"].map(|name| Event::Joined { host: host(name) });
        let events = (0..COMPARED_STEPS).map(|_| self.any_event()).collect::<Vec<_>>();
        for event in reunions.into_iter().chain(events) {
            let [live, later] = pair.each_mut().map(|machine| answers(machine, &event));
            assert_eq!(live, later, "seed {seed}: {event:?}");
        }
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let at = self.random.below(u64::try_from(from.len()).unwrap());
        from[usize::try_from(at).unwrap()].clone()
    }
}

/// Returns all that follows an event and the passing of every deadline, in no order.
fn answers(machine: &mut Settlement, event: &Event) -> Vec<String> {
    let late = Moment::since_start(Duration::from_hours(1_000));
    let mut answers = Vec::new();
    let mut event = event.clone();
    for _ in 0..ANSWERS_MAX {
        let reaction = machine.step(late, event);
        answers.extend(reaction.record.iter().map(|record| format!("{record:?}")));
        answers.extend(reaction.actions.iter().map(|action| format!("{action:?}")));
        if machine.next_deadline().is_none_or(|at| at > late) {
            answers.sort();
            return answers;
        }
        event = Event::Tick;
    }
    panic!("it never comes to rest: {answers:#?}");
}

/// Xorshift: the same seed, the same numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }
}

const TASKS: [&str; 3] = ["book", "hire", "lend"];
const EFFECTS: [&str; 3] = ["log", "mail", "tidy"];
const SEEDS: u64 = 200;
const STEPS: usize = 150;
const COMPARED_STEPS: usize = 20;
const ANSWERS_MAX: usize = 1_000;
