//! What is known of a job when it is judged: everything, or only what an index tells.

use std::collections::BTreeMap;

use votum_ids::JobId;
use votum_machine::WallTime;

use crate::{JobState, JobView};

/// What is known of a job; none where it is not known.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Which.
    pub job: &'a JobId,
    /// When it was received.
    pub received: WallTime,
    /// Its display name.
    pub name: Option<&'a str>,
    /// Who submitted it.
    pub by: Option<&'a str>,
    /// Of its spec.
    pub labels: Option<&'a BTreeMap<String, String>>,
    /// Where it stands.
    pub state: Option<JobState>,
    /// Whether it is held.
    pub paused: Option<bool>,
    /// Whether it aborts, or aborted, because somebody cancelled it.
    pub cancelled: Option<bool>,
    /// When it ended.
    pub ended: Ended,
}

/// When a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nobody has looked.
    Unknown,
    /// It has not.
    NotYet,
    /// Then.
    At(WallTime),
}

impl<'a> Facts<'a> {
    /// Knows nothing but which job it is and when it was received.
    #[must_use]
    pub fn unknown(job: &'a JobId, received: WallTime) -> Self {
        Self {
            job,
            received,
            name: None,
            by: None,
            labels: None,
            state: None,
            paused: None,
            cancelled: None,
            ended: Ended::Unknown,
        }
    }

    /// Knows what a view tells; a basic one has no labels, one of a removed job not even who.
    #[must_use]
    pub fn of(view: &'a JobView) -> Self {
        Self {
            name: Some(&view.display_name),
            by: (!view.is_removed()).then_some(&view.creator),
            labels: view.spec.as_ref().map(|spec| &spec.labels),
            state: Some(view.state),
            paused: Some(view.is_held()),
            cancelled: (!view.is_removed()).then(|| view.is_cancelled()),
            ended: view.ended.map_or(Ended::NotYet, Ended::At),
            ..Self::unknown(&view.job, view.created)
        }
    }
}
