//! What a person is shown who is asked to approve a commit.

use votum_ids::JobId;
use votum_schedule::{ApprovalStanding, DryVote, Scheduler};
use votum_wire::{ApprovalView, DryVoteView, GivenApproval};

/// Shows the approval of what is staged; none if it was not asked for.
pub(super) fn approval(scheduler: &Scheduler, job: &JobId) -> Option<ApprovalView> {
    let ApprovalStanding { asked, expires, given } = scheduler.approval(job)?;
    let given = given.map(|given| {
        let votum_schedule::GivenApproval { by, reason, at } = given;
        GivenApproval { by, reason, at }
    });
    Some(ApprovalView { etag: etag(scheduler, job), asked, expires, given })
}

/// Shows what a dry vote came to.
pub(crate) fn dry_vote(came_to: &DryVote) -> DryVoteView {
    let DryVote { at, complete, findings, omitted } = came_to.clone();
    DryVoteView { at, complete, findings, omitted }
}

/// Names everything that a job has staged, by the digests.
pub(crate) fn etag(scheduler: &Scheduler, job: &JobId) -> String {
    let mut contents = blake3::Hasher::new();
    for (task, output, digest) in scheduler.sealed_digests(job) {
        for name in [task.as_str(), output.as_str()] {
            contents.update(name.as_bytes()).update(b"/");
        }
        contents.update(&digest.0);
    }
    contents.finalize().to_hex().chars().take(ETAG_CHARS).collect()
}

/// Enough to tell two contents apart, and few enough to copy.
const ETAG_CHARS: usize = 16;
