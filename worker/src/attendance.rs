//! What the worker does besides waiting while the program of an attempt runs.
//!
//! It looks at the report file at a bounded interval and hands on what is
//! there, and runs the task's health command, if there is one. It can begin at
//! any time, also with an attempt that an earlier start of the daemon left
//! running.

use std::{path::Path, sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use votum_ids::AttemptId;
use votum_job::HealthCheck;

use crate::{
    checkpoint,
    event::AttemptEvent,
    health::Health,
    report_file::{Follows, Reading, ReportFile},
    shell::{Shell, blocking},
};

/// Whoever attends to a running attempt; nobody does any more when this is dropped.
#[derive(Debug)]
pub(crate) struct Attendance {
    ended: CancellationToken,
    work: Vec<AbortOnDropHandle<()>>,
    /// Hands on what is asked of the worker meanwhile.
    _asks: AbortOnDropHandle<()>,
}

impl Attendance {
    /// Begins to attend to the attempt whose files lie in `dir`.
    pub(crate) fn begin(
        shell: &Arc<Shell>,
        attempt: &AttemptId,
        dir: &Path,
        health: Option<HealthCheck>,
    ) -> Self {
        let ended = CancellationToken::new();
        let reports = Reports { shell: Arc::clone(shell), attempt: attempt.clone() };
        let (report_dir, until) = (dir.to_owned(), ended.clone());
        let reading = tokio::spawn(async move {
            let file = blocking(move || ReportFile::resume(&report_dir)).await;
            reports.hand_on(file, until).await;
        });
        let checking = health.map(|check| {
            let (shell, attempt) = (Arc::clone(shell), attempt.clone());
            let health = Health { shell, attempt, dir: dir.to_owned(), check };
            tokio::spawn(health.keep(ended.clone()))
        });
        let work = [reading].into_iter().chain(checking).map(AbortOnDropHandle::new).collect();
        let (listener, listened) = (Arc::clone(shell), attempt.clone());
        let asks = tokio::spawn(async move { checkpoint::listen(&listener, &listened).await });
        Self { ended, work, _asks: AbortOnDropHandle::new(asks) }
    }

    /// Ends it, when the program has ended: its last words are handed on first, and no
    /// process of its health command is left.
    pub(crate) async fn end(self) {
        self.ended.cancel();
        for work in self.work {
            if let Err(error) = work.await
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}

struct Reports {
    shell: Arc<Shell>,
    attempt: AttemptId,
}

impl Reports {
    async fn hand_on(&self, mut file: ReportFile, ended: CancellationToken) {
        // What an earlier start of the daemon read, this one's engine has not heard.
        let report = file.report().clone();
        if report != Default::default() {
            self.tell(Reading { report, checkpoints: Vec::new() }).await;
        }
        let clock = self.shell.clock;
        loop {
            tokio::select! {
                () = clock.sleep_until(Some(clock.now().after(LOOK_INTERVAL))) => {}
                () = ended.cancelled() => break,
            }
            file = self.look(file, Follows::More).await.0;
        }
        for _ in 0..LAST_LOOKS_MAX {
            let (same, found) = self.look(file, Follows::More).await;
            file = same;
            if !found {
                break;
            }
        }
        self.look(file, Follows::Nothing).await;
    }

    /// Looks once; says whether anything was there.
    async fn look(&self, mut file: ReportFile, follows: Follows) -> (ReportFile, bool) {
        let (file, seen) = blocking(move || {
            let seen = file.look(follows);
            (file, seen)
        })
        .await;
        match seen {
            Ok(Some(reading)) => {
                self.tell(reading).await;
                (file, true)
            }
            Ok(None) => (file, false),
            Err(error) => {
                // It is the program's to spoil.
                tracing::debug!(attempt = %self.attempt, %error, "cannot read the report file");
                (file, false)
            }
        }
    }

    async fn tell(&self, Reading { report, checkpoints }: Reading) {
        let report = Box::new(report);
        self.shell.tell(&self.attempt, AttemptEvent::Reported { report, checkpoints }).await;
    }
}

/// Between two looks at a report file.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Most looks after the end of the program: enough for everything that is not skipped.
const LAST_LOOKS_MAX: u32 = 20;
