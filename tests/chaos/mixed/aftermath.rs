//! What must hold when everything is over: nothing is left, and every journal opens again.

use std::{collections::BTreeMap, time::Duration};

use votum_ids::JobId;
use votum_tests::{Cluster, eventually};
use votum_wire::JobState;

use super::DAEMONS;

/// Nothing runs, nothing is staged, and no worker is thought to have anything.
pub(crate) fn nothing_is_left(cluster: &Cluster) {
    cluster.wait_until_staging_is_empty();
    cluster.wait_until_no_task_runs();
    eventually("nobody is thought to run or hold anything", LIMIT, || {
        let workers = cluster.block_on(cluster.client().workers()).ok()?;
        let idle = workers.iter().all(|view| view.running.is_empty() && view.holds.is_empty());
        idle.then_some(())
    });
}

/// Every daemon ends when asked, starts again from its journal, and knows what it knew.
pub(crate) fn journals_open_again(cluster: &mut Cluster, outcomes: &BTreeMap<JobId, JobState>) {
    for name in DAEMONS {
        let status = cluster.daemon(name).terminate(LIMIT);
        assert!(status.success(), "{name} ends with {status}");
    }
    cluster.start_all();
    let counters = cluster.counters();
    assert!(!counters.log_stale);
    assert_eq!(counters.quarantined, Vec::<String>::new());
    let listed: BTreeMap<JobId, JobState> =
        cluster.jobs().into_iter().map(|view| (view.job, view.state)).collect();
    assert_eq!(&listed, outcomes);
}

/// Whatever is to happen at all has happened by then, also on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);
