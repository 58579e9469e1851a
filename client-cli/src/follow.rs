//! Follows one job to its end: a live picture on a terminal, a line per change elsewhere.

use std::{future::Future, time::Duration};

use tokio::time::{MissedTickBehavior, interval, timeout};
use votum_client::Client;
use votum_ids::JobId;
use votum_wire::{JobView, Translate as _};

use crate::{
    args::Format,
    context::Context,
    display::{
        forced, frame, hooks, outcome,
        paint::Tone,
        timeline::{self, Waits},
    },
    exit::Exit,
    fault::{Fault, Outcome},
    live::Live,
    screen::{self, Screen},
};

/// Follows a job, says how it ended, and returns the exit code of its outcome.
pub(crate) async fn to_the_end(client: &Client, job: &JobId, context: &Context) -> Outcome {
    let following = within(context.global.timeout, job, following(client, job, context));
    match following.await?? {
        Some(view) => conclude(&view, context),
        None => {
            context.screen.remark(&format!(
                "stopped looking; {job} goes on\n  look again:  votum watch {job}\n  \
                 abort it:    votum cancel {job}"
            ))?;
            Ok(Exit::Interrupted)
        }
    }
}

/// Gives up after a while; the job itself goes on.
pub(crate) async fn within<T>(
    limit: Option<Duration>,
    job: &JobId,
    what: impl Future<Output = T>,
) -> Result<T, Fault> {
    match limit {
        None => Ok(what.await),
        Some(limit) => timeout(limit, what).await.map_err(|_| {
            Fault::new(Exit::TimedOut, "TIMEOUT", format!("{job} has not ended yet; it goes on"))
                .hint(format!("look again:  votum watch {job}"))
                .with("job", job)
        }),
    }
}

/// Shows something in place again and again until Ctrl-C; where it is no terminal, one below the
/// other.
pub(crate) async fn again_and_again(
    context: &Context,
    mut what: impl AsyncFnMut() -> Result<String, Fault>,
) -> Outcome {
    let mut live = Live::default();
    let mut look = interval(LOOK_AGAIN);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looking = unless_interrupted(async {
        loop {
            look.tick().await;
            let text = what().await?;
            match context.screen.terminal() {
                Some(size) => {
                    let lines = text.lines().take(size.height.saturating_sub(1));
                    live.draw(&lines.map(str::to_owned).collect::<Vec<_>>())?;
                }
                None => context.screen.result(&text)?,
            }
        }
    });
    looking.await.unwrap_or(Ok(Exit::Interrupted))
}

/// Does something to its end, or returns nothing as soon as somebody presses Ctrl-C.
///
/// Listens once for all of it. Whoever begins to listen anew at each turn of a loop does not hear
/// what comes between two turns, and never ends.
#[expect(clippy::disallowed_methods, reason = "it is the one place that listens")]
pub(crate) async fn unless_interrupted<T>(what: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        // Without the signal nobody can press it.
        Ok(()) = tokio::signal::ctrl_c() => None,
        done = what => Some(done),
    }
}

/// Returns the job as it ended, or nothing if somebody stopped looking.
pub(crate) async fn following(
    client: &Client,
    job: &JobId,
    context: &Context,
) -> Result<Option<JobView>, Fault> {
    unless_interrupted(shown_to_the_end(client, job, context)).await.transpose()
}

async fn shown_to_the_end(
    client: &Client,
    job: &JobId,
    context: &Context,
) -> Result<JobView, Fault> {
    let mut views = client.watch(job);
    let mut picture = Picture::new(context.screen);
    let mut redraw = interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut why = interval(ASK_WHY);
    why.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waits = Waits::default();
    loop {
        tokio::select! {
            view = views.next() => match view {
                Some(view) => {
                    let view = view?;
                    let ended = view.state.is_final() || view.is_held_back();
                    picture.show(&view)?;
                    if ended {
                        return Ok(view);
                    }
                }
                None => {
                    let words = format!("the coordinator ended the watch of {job}");
                    return Err(Fault::new(Exit::Unreachable, "WATCH_ENDED", words)
                        .hint(format!("look again:  votum watch {job}")));
                }
            },
            _ = redraw.tick() => picture.redraw()?,
            // A worker that is drained, or goes away, changes nothing of the job itself.
            _ = why.tick(), if tells_changes(&context.screen) => {
                // Whoever cannot be asked is waited for by the watch.
                let Ok(view) = client.job(job).await else { continue };
                for line in waits.look(&view, screen::now()) {
                    context.screen.result(&line)?;
                }
            }
        }
    }
}

/// Says whether a job that is followed is told line by line, its cause at last.
fn tells_changes(screen: &Screen) -> bool {
    screen.terminal().is_none() && screen.format == Format::Table && !screen.is_quiet()
}

/// Says how a job that was followed ended, and why unless that was told already.
pub(crate) fn conclude(view: &JobView, context: &Context) -> Outcome {
    let screen = &context.screen;
    match screen.format {
        Format::Json => screen.result(&screen.encode(&view.to_proto()))?,
        Format::Name => screen.result(view.job.as_str())?,
        Format::Table => {
            let good = outcome::exit_of(view) == Exit::Done;
            let tone = if good { Tone::Good } else { Tone::Bad };
            screen.result(&screen.paint.text(tone, &outcome::sentence(view)))?;
            if let Some(cause) = &view.cause {
                if !tells_changes(screen) {
                    screen.remark(&format!("  because: {}", cause.message))?;
                }
                screen.remark(&format!("  why:     votum show {}", view.job))?;
            }
            for command in forced::cases(view) {
                screen.remark(&format!("  case:    {command}"))?;
            }
            if let Some(words) = hooks::goes_on(view) {
                screen.remark(&format!("  then:    {words}"))?;
            }
        }
    }
    Ok(outcome::exit_of(view))
}

/// What is seen of a job while it runs.
struct Picture {
    screen: Screen,
    live: Live,
    last: Option<JobView>,
}

impl Picture {
    fn new(screen: Screen) -> Self {
        Self { screen, live: Live::default(), last: None }
    }

    fn show(&mut self, view: &JobView) -> Result<(), Fault> {
        if tells_changes(&self.screen) {
            for line in timeline::changes(self.last.as_ref(), view, screen::now()) {
                self.screen.result(&line)?;
            }
        }
        self.last = Some(view.clone());
        self.redraw()
    }

    fn redraw(&mut self) -> Result<(), Fault> {
        if let (Some(view), Some(size)) = (&self.last, self.screen.terminal()) {
            self.live.draw(&frame::picture(view, screen::now(), size, self.screen.paint))?;
        }
        Ok(())
    }
}

/// Nothing tells of changes of workers, so that they are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How often a job that gets on no further is asked why; what is so for two looks is told.
const ASK_WHY: Duration = Duration::from_millis(2500);
/// Often enough for a light to wander.
const REDRAW: Duration = Duration::from_millis(120);

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};
    use tokio::{task::yield_now, time::timeout};

    use super::*;

    #[tokio::test]
    async fn ctrl_c_is_heard_while_something_is_done() {
        let busy = unless_interrupted(async {
            // Nobody is asked between the first look and this, as while a line is written.
            yield_now().await;
            kill_process(getpid(), Signal::INT).unwrap();
            loop {
                yield_now().await;
            }
        });
        let heard: Result<Option<()>, _> = timeout(Duration::from_secs(60), busy).await;
        assert!(heard.is_ok_and(|done| done.is_none()));
    }

    #[tokio::test]
    async fn what_is_done_first_is_returned() {
        assert_eq!(unless_interrupted(async { 7 }).await, Some(7));
    }
}
