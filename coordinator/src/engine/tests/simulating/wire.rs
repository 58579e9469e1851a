//! The connections between a worker and the coordinator, with what is under way on them.

use std::{collections::VecDeque, time::Duration};

use votum_commit::Reply;
use votum_ids::Incarnation;
use votum_wire::{CoordinatorFrame, FromCoordinator, FromWorker};
use votum_worker::{Event, SessionNumber};

use super::{dice::Dice, fact::Fact, site::Site, world::Stage};

/// A connection: each direction keeps its order, and either end notices by itself that it is over.
pub(super) struct Line {
    pub(super) number: SessionNumber,
    pub(super) incarnation: Incarnation,
    pub(super) down: Way<CoordinatorFrame>,
    pub(super) up: Way<FromWorker>,
    /// When the worker notices that it is over, if it is.
    pub(super) worker_ends: Option<Duration>,
    /// When the coordinator does.
    pub(super) chief_ends: Option<Duration>,
    /// The worker takes it for open.
    pub(super) worker_open: bool,
    pub(super) chief: ChiefEnd,
}

/// What the coordinator takes a connection for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChiefEnd {
    /// Nobody has introduced himself on it yet.
    Silent,
    Open,
    Over,
}

/// One direction of a connection.
pub(super) struct Way<F> {
    frames: VecDeque<(Duration, F)>,
    /// Nothing that is sent from here on arrives.
    pub(super) dead: bool,
}

impl<F> Way<F> {
    fn new() -> Self {
        Self { frames: VecDeque::new(), dead: false }
    }

    /// Sends a frame, which arrives after those before it.
    pub(super) fn push(&mut self, arrives: Duration, frame: F) {
        if !self.dead {
            let last = self.frames.back().map_or(Duration::ZERO, |(due, _)| *due);
            self.frames.push_back((arrives.max(last), frame));
        }
    }

    /// Says when the next frame arrives.
    pub(super) fn due(&self) -> Option<Duration> {
        self.frames.front().map(|(due, _)| *due)
    }

    /// Takes the next frame, or the one behind it if `overtakes` allows that of both.
    fn pop(&mut self, overtakes: impl Fn(&F) -> bool) -> Option<F> {
        let both = self.frames.iter().take(2).filter(|(_, frame)| overtakes(frame)).count() == 2;
        let at = usize::from(both);
        self.frames.remove(at).map(|(_, frame)| frame)
    }

    /// Loses what is under way, but for a beginning of it.
    pub(super) fn cut(&mut self, dice: &mut Dice) {
        self.frames.truncate(dice.below(self.frames.len() + 1));
        self.dead = true;
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.dead = true;
    }
}

impl Line {
    pub(super) fn new(number: SessionNumber, site: &Site) -> Self {
        Self {
            number,
            incarnation: site.incarnation(),
            down: Way::new(),
            up: Way::new(),
            worker_ends: None,
            chief_ends: None,
            worker_open: true,
            chief: ChiefEnd::Silent,
        }
    }

    /// Nothing passes any more; each end notices by its own time.
    pub(super) fn fail(&mut self, worker: Duration, chief: Duration) {
        let sooner = |known: &mut Option<Duration>, at: Duration| {
            *known = Some(known.map_or(at, |known| known.min(at)));
        };
        sooner(&mut self.worker_ends, worker);
        sooner(&mut self.chief_ends, chief);
    }

    /// Says whether neither end has anything to do with it any more.
    pub(super) fn is_over(&self) -> bool {
        let silent = self.chief == ChiefEnd::Silent && self.up.due().is_none();
        !self.worker_open && (silent || self.chief == ChiefEnd::Over)
    }
}

impl Site {
    pub(super) fn connect(&mut self, stage: &mut Stage) {
        self.sessions += 1;
        let number = SessionNumber(self.sessions);
        let line = Line::new(number, self);
        self.lines.push(line);
        self.step(stage, Event::Connected(number));
    }

    /// Returns the connection that the worker takes for open.
    pub(super) fn line(&mut self) -> Option<&mut Line> {
        self.lines.last_mut().filter(|line| line.worker_open)
    }

    pub(super) fn disconnect(&mut self, stage: &mut Stage) {
        let Some(line) = self.line() else { return };
        line.worker_open = false;
        line.down.clear();
        let number = line.number;
        self.step(stage, Event::Disconnected(number));
        self.lose_connection(stage);
    }

    /// Takes the next frame of the coordinator, perhaps twice, and perhaps not.
    pub(super) fn hear(&mut self, stage: &mut Stage) {
        let again = stage.dice.once_in(8);
        let (lossy, overtakes) = stage.loss();
        let Some(line) = self.line() else { return };
        let number = line.number;
        let is_commit = |frame: &CoordinatorFrame| {
            overtakes && matches!(frame.body, FromCoordinator::Commit(_))
        };
        let Some(frame) = line.down.pop(is_commit) else { return };
        if lossy && matches!(frame.body, FromCoordinator::Commit(_)) {
            return stage.ledger.remark(stage.time, &|| "the network loses a message".to_owned());
        }
        for _ in 0..if again { 2 } else { 1 } {
            let fact = Fact::Heard { at: &self.me, frame: &frame.body };
            stage.ledger.see(stage.time, &fact);
            self.obey_badly(stage, &frame.body);
            let frame = Box::new(frame.clone());
            self.step(stage, Event::Received { session: number, frame });
        }
    }

    /// Says something to the coordinator, if there is a connection.
    pub(super) fn say(&mut self, stage: &mut Stage, frame: FromWorker) {
        let arrives = stage.arrival();
        let Self { lines, me, .. } = self;
        if let Some(line) = lines.last_mut().filter(|line| line.worker_open) {
            stage.ledger.see(stage.time, &Fact::Said { from: me, frame: &frame });
            line.up.push(arrives, frame);
        }
    }

    /// Takes what the worker has said next on a connection.
    pub(super) fn next_up(&mut self, at: usize, stage: &mut Stage) -> Option<FromWorker> {
        let (lossy, overtakes) = stage.loss();
        // A question is read before what its asker says next: the engine counts on that.
        let is_commit = |frame: &FromWorker| {
            let asks = matches!(frame, FromWorker::Commit(Reply::Inquired { .. }));
            overtakes && !asks && matches!(frame, FromWorker::Commit(_))
        };
        let frame = self.lines.get_mut(at)?.up.pop(is_commit)?;
        if lossy && matches!(frame, FromWorker::Commit(_)) {
            stage.ledger.remark(stage.time, &|| "the network loses a message".to_owned());
            return None;
        }
        Some(frame)
    }
}
