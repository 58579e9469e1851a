//! A worker: forces that it accepts a try, fences older ones, and repeats its reports.

use std::collections::{BTreeMap, BTreeSet};

use votum_ids::TaskId;

/// A worker as the model knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Site {
    /// Counts its installations from 1.
    pub(crate) uid: u8,
    pub(crate) connected: bool,
    /// The coordinator has given it up since it was last connected.
    pub(crate) lost: bool,
    /// The largest token of each hook that was ever accepted here.
    newest: BTreeMap<TaskId, u8>,
    /// What it has not been told to forget.
    pub(crate) tries: BTreeMap<(TaskId, u8), Stage>,
    /// Frames of the session to it; each may arrive twice.
    pub(crate) inbox: BTreeSet<Frame>,
    /// Reports of the session; each may arrive twice.
    pub(crate) outbox: BTreeSet<(TaskId, u8, End)>,
}

/// A frame from the coordinator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Frame {
    Start(TaskId, u8),
    Acknowledged(TaskId, u8),
    Discard(TaskId, u8),
}

/// Where a try stands on its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Its program runs; `parted` if the coordinator has given up its worker meanwhile.
    Live {
        parted: bool,
    },
    Over(End),
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum End {
    Done,
    Failed,
    Killed,
}

impl End {
    pub(crate) const ALL: [Self; 3] = [Self::Done, Self::Failed, Self::Killed];
}

impl Site {
    pub(crate) fn new() -> Self {
        Self { uid: 1, connected: true, ..Self::default() }
    }

    /// Takes a frame; returns whether a program begins.
    pub(crate) fn take(&mut self, frame: &Frame) -> bool {
        match frame {
            Frame::Start(hook, token) => return self.accept(hook, *token),
            Frame::Acknowledged(hook, token) => {
                let key = (hook.clone(), *token);
                if let Some(Stage::Over(_)) = self.tries.get(&key) {
                    self.tries.remove(&key);
                }
            }
            Frame::Discard(hook, token) => {
                self.tries.remove(&(hook.clone(), *token));
            }
        }
        false
    }

    fn accept(&mut self, hook: &TaskId, token: u8) -> bool {
        match self.tries.get(&(hook.clone(), token)) {
            Some(Stage::Live { .. }) => return false,
            Some(Stage::Over(end)) => {
                self.outbox.insert((hook.clone(), token, *end));
                return false;
            }
            None => {}
        }
        if self.newest.get(hook).is_some_and(|newest| *newest >= token) {
            // An order that comes late: its attempt is over, or was fenced.
            self.outbox.insert((hook.clone(), token, End::Killed));
            return false;
        }
        self.newest.insert(hook.clone(), token);
        self.tries.retain(|(other, older), _| other != hook || *older > token);
        self.tries.insert((hook.clone(), token), Stage::Live { parted: false });
        true
    }

    /// Ends a program.
    pub(crate) fn finish(&mut self, hook: &TaskId, token: u8, end: End) {
        self.tries.insert((hook.clone(), token), Stage::Over(end));
        if self.connected {
            self.outbox.insert((hook.clone(), token, end));
        }
    }

    /// Loses the session.
    pub(crate) fn leave(&mut self) {
        self.connected = false;
        self.inbox.clear();
        self.outbox.clear();
    }

    /// Dies: whatever ran is over.
    pub(crate) fn crash(&mut self) {
        self.leave();
        for stage in self.tries.values_mut() {
            if let Stage::Live { .. } = stage {
                *stage = Stage::Over(End::Killed);
            }
        }
    }

    /// Loses its data, and is another installation from here on.
    pub(crate) fn wipe(&mut self) {
        self.leave();
        self.tries.clear();
        self.newest.clear();
        self.uid += 1;
    }

    /// Returns the tries that run.
    pub(crate) fn live(&self) -> impl Iterator<Item = (&TaskId, u8)> {
        let live = self.tries.iter().filter(|(_, stage)| matches!(stage, Stage::Live { .. }));
        live.map(|((hook, token), _)| (hook, *token))
    }
}
