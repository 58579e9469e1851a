//! Whether the disk below the journal has room for one more job.
//!
//! A job that is received is owed records until its end: if the disk is full before,
//! the daemon ends itself and nothing goes on. So what is free below a reserve is
//! kept for the jobs that are open.

use std::path::PathBuf;

use tonic::Status;
use votum_job::Size;
use votum_wire::status;

/// The space below the data directory that new jobs leave alone.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    /// Where the journal lies.
    pub(crate) data_dir: PathBuf,
    /// With less free bytes than this no job is received; zero: it is never asked.
    pub(crate) reserve: u64,
}

impl Room {
    /// Refuses a job while less than the reserve is free.
    pub(crate) fn for_a_job(&self) -> Result<(), Status> {
        if self.reserve == 0 {
            return Ok(());
        }
        // A system call on a filesystem that is mounted: it waits for no disk.
        let stat = rustix::fs::statvfs(&self.data_dir)
            .map_err(|error| status::internal(&std::io::Error::from(error)))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free >= self.reserve {
            return Ok(());
        }
        Err(status::storage_low(Size(free), Size(self.reserve)))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_job_leaves_the_reserve_alone() {
        let room = |reserve| Room { data_dir: std::env::temp_dir(), reserve };
        assert!(room(0).for_a_job().is_ok() && room(1).for_a_job().is_ok());
        let refused = room(u64::MAX).for_a_job().unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    }
}
