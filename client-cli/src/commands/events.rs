//! `votum events`: the durable history of a job.

use clap::Args;
use votum_client::Client;
use votum_ids::JobId;
use votum_wire::{
    Translate as _,
    history::{EventPage, EventView},
};

use crate::{
    args::{Format, OutputFormat},
    context::{Context, Patience},
    display,
    exit::Exit,
    fault::{Fault, Outcome},
    follow, job_name,
};

/// Print the durable history of a job, oldest first.
///
/// Every line is a record of the coordinator's log, or a part of one; it keeps its number for ever.
/// A record whose SYNC is `forced` was synced before anything was done that rests on it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum events @last\n  votum events nightly-sales -f\n  votum events nightly-sales --after 12 -o jsonl"
)]
pub(crate) struct EventsArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: String,
    /// Only events after this number.
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
    /// Stay for further events until the job has ended.
    #[arg(short, long)]
    follow: bool,
}

/// Prints the events.
pub(crate) async fn run(args: &EventsArgs, context: &Context) -> Outcome {
    let client = context.client(Patience::Short)?;
    let job = job_name::resolve(&client, &args.job).await?;
    let events = client.events(&job, args.after).await?;
    let last = events.last().map_or(args.after, |event| event.id);
    if events.is_empty() && !args.follow {
        context.screen.remark(&format!("no events\n  why:  votum show {job}"))?;
    }
    print(events, true, context)?;
    if !args.follow {
        return Ok(Exit::Done);
    }
    let following = follow::unless_interrupted(further(&client, &job, last, context));
    following.await.unwrap_or(Ok(Exit::Interrupted))
}

async fn further(client: &Client, job: &JobId, mut last: u64, context: &Context) -> Outcome {
    let mut views = client.watch(job);
    while let Some(view) = views.next().await {
        view?;
        let events = client.events(job, last).await?;
        last = events.last().map_or(last, |event| event.id);
        print(events, false, context)?;
    }
    Ok(Exit::Done)
}

fn print(events: Vec<EventView>, headed: bool, context: &Context) -> Result<(), Fault> {
    let screen = &context.screen;
    let text = match screen.format {
        Format::Json => screen.encode(&EventPage { events, next: None }.to_proto()),
        Format::Name => events.iter().map(|event| format!("{}\n", event.id)).collect(),
        Format::Table => {
            display::events::table(&events, headed, screen.output == OutputFormat::Wide)
                .fitted(screen.paint, screen.width())
        }
    };
    if !text.is_empty() {
        screen.result(&text)?;
    }
    Ok(())
}
