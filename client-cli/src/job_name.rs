//! What people call a job: an id, the beginning of one, a name for its newest job, or `@last`.

use votum_client::{Client, ClientError};
use votum_ids::JobId;
use votum_job::closest;
use votum_wire::{
    JobView, Reason,
    request::{Detail, Wanted},
};

use crate::{exit::Exit, fault::Fault, last};

/// Finds the job that is meant.
pub(crate) async fn resolve(client: &Client, text: &str) -> Result<JobId, Fault> {
    if text == "@last" {
        return last::recall().ok_or_else(|| {
            not_found("no job was submitted from here yet").hint("all jobs:  votum list")
        });
    }
    match client.resolve(text).await {
        Err(ClientError::NoSuchJob { .. }) => {
            let jobs = client.jobs(&Wanted::default(), Detail::Basic, COMPARED_MAX).await?;
            Err(unknown(text, &jobs))
        }
        outcome => Ok(outcome?),
    }
}

fn unknown(text: &str, jobs: &[JobView]) -> Fault {
    let fault = not_found(&format!("no job {text:?}")).with("job", text);
    let names = jobs.iter().flat_map(|view| [view.job.as_str(), view.display_name.as_str()]);
    match closest(text, names) {
        Some(meant) => fault.hint(format!("did you mean {meant}?")),
        None => fault.hint("all jobs:  votum list"),
    }
}

fn not_found(message: &str) -> Fault {
    Fault::new(Exit::NotFound, Reason::JobNotFound.as_str(), message)
}

/// Among so many of the newest jobs a similar name is looked for.
const COMPARED_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::samples;

    #[test]
    fn a_slip_in_a_name_is_answered_with_the_nearest() {
        let jobs = ["nightly-k3f9x2ab", "rebuild-p0q8m1zz"].map(samples::received);
        let answer = |text| unknown(text, &jobs).to_string();
        assert_eq!(answer("nihgtly"), "no job \"nihgtly\"\n  did you mean nightly?");
        assert_eq!(answer("zz"), "no job \"zz\"\n  all jobs:  votum list");
    }
}
