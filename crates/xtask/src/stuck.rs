//! Ends test programs that stand still, so that a run always comes to its end.

use std::fs;

use crate::run::{command, say};

/// Kills everything that a process has started, and what that has started, but not itself.
pub(crate) fn end_below(process: u32) -> anyhow::Result<()> {
    let below = below(process);
    say(&format!("killing {} processes", below.len()));
    for process in below {
        // It may have ended with the one before.
        let _ended = command("kill", &["-9", &process.to_string()]).status()?;
    }
    Ok(())
}

/// Returns all descendants of a process, parents first.
fn below(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let children = tasks.flat_map(|task| {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        children.collect::<Vec<u32>>()
    });
    children.flat_map(|child| [vec![child], below(child)].concat()).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        os::unix::process::ExitStatusExt as _,
        process::Stdio,
    };

    use super::*;

    #[test]
    fn what_a_process_started_ends_and_it_goes_on() {
        let script = "sh -c 'tail -f /dev/null & echo ready; wait'; exit 7";
        let mut outer = command("sh", &["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(outer.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let below = below(outer.id());
        assert_eq!(below.len(), 2, "{below:?}");
        end_below(outer.id()).unwrap();
        let ended = outer.wait().unwrap();
        assert_eq!((ended.code(), ended.signal()), (Some(7), None));
    }
}
