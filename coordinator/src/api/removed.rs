//! Jobs whose records are gone, found by the name that they had, or by the beginning of their id.

use tokio::task::spawn_blocking;
use tonic::Status;
use votum_ids::JobId;
use votum_machine::WallTime;
use votum_wire::{
    request::{JobPage, ListJobs},
    status,
};

use super::Desk;
use crate::{
    record::{Tombstone, former_keys, tombstone_keys},
    view,
};

impl Desk {
    /// Lists removed jobs: of one name newest first, else by their ids.
    ///
    /// A page reads as many entries of the index as may be on it.
    pub(super) async fn removed(&self, asked: &ListJobs) -> Result<JobPage, Status> {
        let (desk, asked, now) = (self.clone(), asked.clone(), self.clock.wall());
        let read = spawn_blocking(move || desk.read_removed(&asked, now)).await;
        read.map_err(|error| status::internal(&error))?
    }

    fn read_removed(&self, asked: &ListJobs, now: WallTime) -> Result<JobPage, Status> {
        let ListJobs { wanted, page, .. } = asked;
        let (order, named) = match (&wanted.display_name, &wanted.prefix) {
            (Some(name), _) => (former_keys(name), true),
            (None, beginning) => (tombstone_keys(beginning.as_deref().unwrap_or_default()), false),
        };
        let after = page.after.as_deref().map(str::as_bytes);
        let found = self.reader.scan(&order, after, page.size);
        let found = found.map_err(|error| status::internal(&error))?;
        let last = found.last().filter(|_| found.len() == page.size);
        let last = last.map(|(key, _)| String::from_utf8_lossy(key).into_owned());
        let mut jobs = Vec::new();
        for (_, value) in found {
            let tombstone = if named {
                let job: JobId = read(&value)?;
                self.tombstone(&job)?
            } else {
                Some(read::<Tombstone>(&value)?)
            };
            let view = tombstone.map(view::job::removed);
            jobs.extend(view.filter(|view| wanted.contains(view, now)));
        }
        Ok(JobPage { jobs, next: last.map(|last| asked.token_after(&last)) })
    }
}

fn read<T: serde::de::DeserializeOwned>(value: &[u8]) -> Result<T, Status> {
    serde_json::from_slice(value).map_err(|error| status::internal(&error))
}
