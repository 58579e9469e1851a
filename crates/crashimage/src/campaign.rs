//! Makes every folder that a power cut can leave, and has each of them judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::{
    cut::{Durability, is_exhausted, selections},
    dice::Dice,
    disk::{Change, Disk, Fate, Node},
    recording::{Event, Recording, Synced},
};

/// How many folders are made at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Up to so many combinations of what was not synced all are tried.
    pub exhaustive: usize,
    /// Beyond that so many are drawn, besides those that are always tried.
    pub random: usize,
    /// Of all these no more than so many are made at a moment; a seed decides which.
    pub at_most: usize,
    /// Decides what is drawn.
    pub seed: u64,
}

/// What a power cut has left.
#[derive(Debug)]
pub struct Image<'a> {
    /// A folder as the recorded one was; it may be changed.
    pub folder: &'a Path,
    /// What had been promised by then, in order.
    pub promises: &'a [&'a str],
}

/// What a campaign comes to.
#[derive(Debug, Default)]
pub struct Found {
    /// How many moments there were: before every sync and promise, and at the end.
    pub moments: usize,
    /// How many folders were made and judged.
    pub images: usize,
    /// Of the moments, those at which every combination was tried.
    pub exhaustive: usize,
    /// The most changes that were not durable at a moment.
    pub pending_max: usize,
    /// The first promise that was not kept.
    pub broken: Option<Broken>,
}

/// A promise that was not kept.
#[derive(Debug)]
pub struct Broken {
    /// What the judge says.
    pub why: String,
    /// What had been promised.
    pub promises: Vec<String>,
    /// What the cut did to each change that was not durable.
    pub cut: Vec<String>,
}

/// Returns other bytes for a file, or nothing if it stays as it is.
pub type Rewrite = dyn Fn(&Path, &[u8]) -> Option<Vec<u8>>;

/// A recording whose power is cut.
pub struct Campaign<'a> {
    recording: &'a Recording,
    plan: Plan,
    is_missing: &'a dyn Fn(&Synced) -> bool,
    rewrite: &'a Rewrite,
}

impl std::fmt::Debug for Campaign<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Campaign").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl<'a> Campaign<'a> {
    /// Prepares to cut the power of a recording.
    #[must_use]
    pub fn of(recording: &'a Recording, plan: Plan) -> Self {
        Self { recording, plan, is_missing: &|_| false, rewrite: &|_, _| None }
    }

    /// Leaves syncs out, as if the program had not asked for them. Only folders that differ from
    /// those of the whole recording are made then.
    #[must_use]
    pub fn without(mut self, is_missing: &'a dyn Fn(&Synced) -> bool) -> Self {
        self.is_missing = is_missing;
        self
    }

    /// Changes the bytes of files that tell what a power cut changes, such as the boot.
    #[must_use]
    pub fn rewriting(mut self, rewrite: &'a Rewrite) -> Self {
        self.rewrite = rewrite;
        self
    }

    /// Makes the folders in `scratch`, one after the other, until a judge finds a promise that is
    /// not kept, or `goes_on` says no.
    ///
    /// # Panics
    /// If a folder cannot be made.
    pub fn run(
        &self,
        scratch: &Path,
        goes_on: &dyn Fn() -> bool,
        judge: &mut dyn FnMut(&Image<'_>) -> Result<(), String>,
    ) -> Found {
        let events = &self.recording.events;
        let durability = Durability::of(self.recording, self.is_missing);
        let whole = Durability::of(self.recording, &|_| false);
        let mut dice = Dice::new(self.plan.seed);
        let mut found = Found::default();
        let mut promises: Vec<&str> = Vec::new();
        for at in 0..=events.len() {
            let promise = match events.get(at) {
                Some(Event::Change(_)) => continue,
                Some(Event::Promise(text)) => Some(text.as_str()),
                Some(Event::Sync(_)) | None => None,
            };
            let moment = Moment::new(events, at, &durability, &whole, self);
            if moment.is_of_interest() && goes_on() {
                found.moments += 1;
                moment.cut(scratch, &promises, &mut dice, judge, &mut found);
                if found.broken.is_some() {
                    return found;
                }
            }
            promises.extend(promise);
        }
        found
    }
}

/// A moment at which the power may be cut: just before an event ends.
struct Moment<'a> {
    campaign: &'a Campaign<'a>,
    durability: &'a Durability,
    /// With everything that is durable.
    settled: Disk,
    /// The indices of those changes that are not.
    pending: Vec<usize>,
    changes: Vec<&'a Change>,
    /// Those that would be, with every sync.
    victims: Vec<bool>,
    is_planted: bool,
    /// Nodes by their last change.
    order: Vec<Node>,
}

impl<'a> Moment<'a> {
    fn new(
        events: &'a [Event],
        at: usize,
        durability: &'a Durability,
        whole: &Durability,
        campaign: &'a Campaign<'a>,
    ) -> Self {
        let mut settled = campaign.recording.start.clone();
        let (mut pending, mut changes, mut victims) = (Vec::new(), Vec::new(), Vec::new());
        let mut order = Vec::new();
        for (index, event) in events[..at].iter().enumerate() {
            let Event::Change(change) = event else { continue };
            order.extend(last_changed(change));
            if durability.is_durable(index, at) {
                settled.apply(change, Fate::Kept);
            } else {
                pending.push(index);
                changes.push(change);
                victims.push(whole.is_durable(index, at));
            }
        }
        let is_planted = campaign.recording.syncs().any(|synced| (campaign.is_missing)(synced));
        Self { campaign, durability, settled, pending, changes, victims, is_planted, order }
    }

    /// With syncs left out, only what they would have kept matters.
    fn is_of_interest(&self) -> bool {
        !self.is_planted || self.victims.contains(&true)
    }

    fn cut(
        &self,
        scratch: &Path,
        promises: &[&str],
        dice: &mut Dice,
        judge: &mut dyn FnMut(&Image<'_>) -> Result<(), String>,
        found: &mut Found,
    ) {
        let plan = &self.campaign.plan;
        let mut tried = BTreeSet::new();
        found.pending_max = found.pending_max.max(self.pending.len());
        let selections = selections(&self.changes, &self.victims, plan, dice);
        found.exhaustive += usize::from(is_exhausted(&self.changes, plan));
        for mut fates in selections {
            self.durability.make_possible(&self.pending, &mut fates);
            let victim_suffers = self
                .victims
                .iter()
                .zip(&fates)
                .any(|(victim, fate)| *victim && *fate != Fate::Kept);
            if (self.is_planted && !victim_suffers) || !tried.insert(fates.clone()) {
                continue;
            }
            let folder = scratch.join(format!("image-{}", found.images));
            found.images += 1;
            self.make(&folder, &fates).expect("an image can be made");
            let verdict = judge(&Image { folder: &folder, promises });
            let _ = fs::remove_dir_all(&folder);
            if let Err(why) = verdict {
                let cut = self.changes.iter().zip(&fates).map(|(c, f)| self.describe(c, *f));
                let promises = promises.iter().map(ToString::to_string).collect();
                found.broken = Some(Broken { why, promises, cut: cut.collect() });
                return;
            }
        }
    }

    fn make(&self, folder: &Path, fates: &[Fate]) -> std::io::Result<()> {
        let recording = self.campaign.recording;
        let mut disk = self.settled.clone();
        for (change, fate) in self.changes.iter().zip(fates) {
            disk.apply(change, *fate);
        }
        disk.write_to(folder, &recording.births, &self.order, &|path, bytes, made| {
            if path.to_string_lossy().contains(LISTS_INODES) {
                return Some(with_inodes(bytes, &recording.inodes, made));
            }
            (self.campaign.rewrite)(path, bytes)
        })
    }

    fn describe(&self, change: &Change, fate: Fate) -> String {
        let births = &self.campaign.recording.births;
        match change {
            Change::Names(names) => {
                let shown: Vec<String> = names
                    .iter()
                    .map(|(folder, name, node)| match node {
                        Some(node) => {
                            format!("{folder}/{name} = {node} ({:?})", births[*node].kind)
                        }
                        None => format!("{folder}/{name} removed"),
                    })
                    .collect();
                format!("{fate:?}: {}", shown.join(", "))
            }
            Change::Write { file, offset, bytes } => {
                format!("{fate:?}: {} bytes at {offset} of {file}", bytes.len())
            }
            Change::Length { file, length } => format!("{fate:?}: {file} is {length} long"),
            Change::Mode { node, mode } => format!("{fate:?}: {node} has mode {mode:o}"),
        }
    }
}

fn last_changed(change: &Change) -> Vec<Node> {
    match change {
        Change::Names(names) => names.iter().filter_map(|(_, _, node)| *node).collect(),
        Change::Write { file: node, .. }
        | Change::Length { file: node, .. }
        | Change::Mode { node, .. } => vec![*node],
    }
}

/// Puts the inodes that the nodes have here in the place of those that they had.
fn with_inodes(
    bytes: &[u8],
    recorded: &BTreeMap<u64, Node>,
    made: &BTreeMap<Node, u64>,
) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
    let mut parts = text.split(FIELD);
    let mut rewritten = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let inode = part[..digits].parse().ok().and_then(|inode: u64| recorded.get(&inode));
        // What is not there has no inode: none is 0.
        let inode = inode.and_then(|node| made.get(node)).copied().unwrap_or(0);
        rewritten.push_str(&format!("{FIELD}{inode}{}", &part[digits..]));
    }
    rewritten.into_bytes()
}

/// In the path of a file in which inodes are noted.
const LISTS_INODES: &str = ".json";
/// What stands before one.
const FIELD: &str = "\"inode\":";
