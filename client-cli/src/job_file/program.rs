//! What a task of a job file runs: a script, a command, or steps of them.

use votum_ids::StepName;
use votum_job::{INTERPRETER_DEFAULT, Program, STEPS_MAX, Step, mangled};

use super::{
    Problem,
    fields::{Fields, Reader, at_key},
    shapes::STEP,
    tree::{Key, Node, Value},
};

/// Reads what the task called `key` runs.
pub(super) fn read(reader: &mut Reader<'_>, key: &Key, fields: &Fields<'_>) -> Option<Program> {
    let what = format!("task `{}`", key.text);
    let Some((steps_key, steps)) = fields.key("steps").zip(fields.find("steps")) else {
        return one(reader, key, &what, fields, Steps::Allowed);
    };
    for other in ["run", "command", "interpreter"] {
        if let Some(other) = fields.key(other) {
            let message = format!("{what} has both `steps` and `{}`", other.text);
            reader.report(at_key(other, message).help("each step has a `run` or a `command`"));
        }
    }
    let items = reader.items(steps);
    if items.len() > STEPS_MAX {
        let message = format!("{} steps; a task has at most {STEPS_MAX}", items.len());
        reader.report(at_key(steps_key, message));
        return None;
    }
    let read: Vec<Step> = items.iter().filter_map(|item| step(reader, steps_key, item)).collect();
    (read.len() == items.len()).then_some(Program::Steps(read))
}

fn step(reader: &mut Reader<'_>, steps: &Key, node: &Node) -> Option<Step> {
    let fields = reader.fields(node, "a step", &STEP);
    let Some(named) = fields.find("name") else {
        reader
            .report(Problem::new(fields.at(), "a step has no `name`".to_owned()).help(
                "a restarted task goes on with the first step that is not done, by its name",
            ));
        return None;
    };
    let name = reader.parsed(named, str::parse::<StepName>);
    let what =
        reader.text(named).map_or_else(|| "a step".to_owned(), |name| format!("step `{name}`"));
    let key = fields.key("name").unwrap_or(steps);
    let program = one(reader, key, &what, &fields, Steps::Nowhere);
    Some(Step { name: name?, program: program? })
}

/// Whether several programs could stand where one is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    Allowed,
    Nowhere,
}

/// Reads one program: a script or a command.
pub(super) fn one(
    reader: &mut Reader<'_>,
    key: &Key,
    what: &str,
    fields: &Fields<'_>,
    steps: Steps,
) -> Option<Program> {
    match (fields.find("run"), fields.find("command")) {
        (Some(run), None) => {
            let text = reader.text(run)?.to_owned();
            if let Some(found) = expression(&text) {
                reader.report(not_replaced(run, &found));
                return None;
            }
            let interpreter = match fields.find("interpreter") {
                None => INTERPRETER_DEFAULT.map(str::to_owned).to_vec(),
                Some(node) => words(reader, node)?,
            };
            Some(Program::Script { text, interpreter })
        }
        (None, Some(command)) => {
            if let Some(key) = fields.key("interpreter") {
                reader.report(at_key(key, "`interpreter` belongs to `run`".to_owned()));
            }
            list(reader, command, Reader::substituted_for_worker).map(Program::Command)
        }
        (Some(_), Some(_)) => {
            let second = fields.key("command").unwrap_or(key);
            reader.report(
                at_key(second, format!("{what} has both `run` and `command`"))
                    .help("`run` is a script, `command` one program without a shell"),
            );
            None
        }
        (None, None) => {
            reader.report(match steps {
                Steps::Allowed => {
                    at_key(key, format!("{what} has none of `run`, `command` and `steps`")).help(
                        "`run` is a script, `command` one program without a shell, `steps` are \
                         several of them, one after the other",
                    )
                }
                Steps::Nowhere => at_key(key, format!("{what} has neither `run` nor `command`"))
                    .help("`run` is a script, `command` one program without a shell"),
            });
            None
        }
    }
}

/// Returns the first expression in a script that would be replaced elsewhere, such as
/// `params.date`.
fn expression(script: &str) -> Option<String> {
    script.split("${{").skip(1).find_map(|rest| {
        let inner = rest.split("}}").next()?.trim();
        let kinds = ["params.", "inputs.", "outputs.", "job.id"];
        kinds.iter().any(|kind| inner.starts_with(kind)).then(|| inner.to_owned())
    })
}

/// A script is run as it stands: what it is to know is in its environment.
fn not_replaced(run: &Node, expression: &str) -> Problem {
    let variable = match expression.split_once('.') {
        Some(("params", name)) => format!("VOTUM_PARAM_{}", mangled(name)),
        Some(("inputs", name)) => format!("VOTUM_INPUT_{}", mangled(name)),
        Some(("outputs", name)) => format!("VOTUM_OUTPUT_{}", mangled(name)),
        _ => "VOTUM_JOB_ID".to_owned(),
    };
    Problem::new(run.at, format!("`${{{{ {expression} }}}}` is not replaced in a script"))
        .help(format!("write \"${variable}\": the script finds it in its environment"))
}

/// Reads an argument vector; parameters are put in word by word, so none can become two.
pub(super) fn words(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    list(reader, node, Reader::substituted)
}

fn list<'a>(
    reader: &mut Reader<'a>,
    node: &Node,
    read: fn(&mut Reader<'a>, &Node) -> Option<String>,
) -> Option<Vec<String>> {
    if let Value::Scalar(text) = &node.value {
        let problem = one_text(node, text, reader.kind(node));
        reader.report(problem);
        return None;
    }
    let items = reader.items(node);
    let words: Vec<String> = items.iter().filter_map(|item| read(reader, item)).collect();
    if items.is_empty() {
        reader.report(Problem::new(node.at, "a list of words, the program first".to_owned()));
    }
    (!items.is_empty() && words.len() == items.len()).then_some(words)
}

/// A line of a shell is no list of words, and nobody guesses where its words end.
fn one_text(node: &Node, text: &str, found: &str) -> Problem {
    let problem = Problem::new(node.at, format!("expected a list of words; found {found}"));
    let problem = problem.width(text.lines().next().unwrap_or_default().chars().count());
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:+,@ ".contains(c);
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() || !text.chars().all(plain) || text.len() > HINT_BYTES_MAX {
        return problem
            .help("write each word by itself, as `[PROGRAM, WORD]`; a line of shell is a `run`");
    }
    let words = words.join(", ");
    problem.help(format!("write `[{words}]`, each word by itself; a line of shell is a `run`"))
}

/// What is longer is not written out in a hint.
const HINT_BYTES_MAX: usize = 60;
