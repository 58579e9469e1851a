//! The steps of a task as one program: each runs after the one before is done and durable.
//!
//! The program is a shell script of ours under the attempt's one supervisor, so
//! steps share its logs, its limits and its end. It asks for a checkpoint
//! after each step and waits for the answer; a restart of the daemon between
//! the two makes it wait longer and nothing else.

use std::{fmt::Write as _, io, path::Path};

use votum_job::{Program, Step};

use crate::{account::Account, script};

/// Writes the steps that are not done into `dir`; returns what runs them. The words of commands are
/// what `replaced` makes of them.
pub(crate) fn write(
    dir: &Path,
    steps: &[Step],
    done: u32,
    account: Option<&Account>,
    replaced: &dyn Fn(&str) -> String,
) -> io::Result<Vec<String>> {
    let mut text = HEAD.to_owned();
    for (number, step) in (1_u32..).zip(steps).skip(usize::try_from(done).unwrap_or(usize::MAX)) {
        let command: Vec<String> = match &step.program {
            Program::Command(argv) => argv.iter().map(|word| replaced(word)).collect(),
            Program::Script { text, interpreter } => {
                let path = dir.join(format!("step-{number}"));
                script::write(&path, text, account)?;
                interpreter.iter().cloned().chain([path.to_string_lossy().into_owned()]).collect()
            }
            Program::Steps(_) | Program::PutBack(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "a step is a command or a script",
                ));
            }
        };
        let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
        let name = quoted(step.name.as_str());
        // Writing into a String cannot fail.
        let _ = writeln!(text, "VOTUM_STEP={name} {} || exit $?", words.join(" "));
        let _ = writeln!(text, "durable {number}");
    }
    let path = dir.join(RUNNER);
    script::write(&path, &text, account)?;
    Ok(vec!["sh".to_owned(), path.to_string_lossy().into_owned()])
}

/// Makes a word that the shell takes as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

const RUNNER: &str = "steps.sh";
const HEAD: &str = r#"export VOTUM_STEP
# Waits until the worker has made durable what the steps so far have left.
durable() {
    ask="$VOTUM_CHECKPOINT_ASKS/step-$1"
    echo "step $1" > "$ask.new" && mv "$ask.new" "$ask" || exit 74
    while [ ! -e "$ask.answer" ]; do
        sleep 0.05 2> /dev/null || sleep 1
    done
    read -r word rest < "$ask.answer"
    if [ "$word" != sealed ]; then
        echo "the step is done, but not durable: $rest" >&2
        exit 74
    fi
}
"#;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, process::Command};

    use votum_ids::StepName;

    use super::*;

    /// Runs the steps as the supervisor would; whoever answers seals everything at once.
    fn run(steps: &[Step], done: u32, dir: &Path) -> (Option<i32>, String) {
        let asks = dir.join("asks");
        fs::create_dir_all(&asks).unwrap();
        for number in 1..=steps.len() {
            fs::write(asks.join(format!("step-{number}.answer")), "sealed 1\n").unwrap();
        }
        let argv = write(dir, steps, done, None, &str::to_owned).unwrap();
        let env = BTreeMap::from([("VOTUM_CHECKPOINT_ASKS", asks)]);
        let output = Command::new(&argv[0]).args(&argv[1..]).envs(env).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    fn step(name: &str, program: Program) -> Step {
        Step { name: StepName::new(name).unwrap(), program }
    }

    fn three() -> Vec<Step> {
        let argv = ["printf", "%s|", "it's", "$HOME", "a b"].map(str::to_owned).to_vec();
        let interpreter = vec!["sh".to_owned(), "-eu".to_owned()];
        let script = |text: &str| Program::Script {
            text: text.to_owned(),
            interpreter: interpreter.clone(),
        };
        vec![
            step("first", Program::Command(argv)),
            step("second", script("echo \"$VOTUM_STEP\"\n")),
            step("third", script("exit 7\n")),
        ]
    }

    #[test]
    fn steps_run_in_order_with_their_words_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(run(&three(), 0, dir.path()), (Some(7), "it's|$HOME|a b|second\n".to_owned()));
    }

    #[test]
    fn steps_that_are_done_are_not_run_again() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(run(&three()[..2], 1, dir.path()), (Some(0), "second\n".to_owned()));
        assert_eq!(run(&three(), 3, dir.path()), (Some(0), String::new()));
    }
}
