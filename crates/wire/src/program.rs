//! What a task runs: a command, a script, or steps of them.

use votum_ids::{AttemptId, StepName};
use votum_job::{INTERPRETER_DEFAULT, Program, Step};
use votum_proto::v1;

use crate::{
    Malformed,
    names::{job_name, read_job_name, read_token},
    translate::{parse, set},
};

/// Writes what a task runs.
pub(crate) fn program_to_proto(program: &Program) -> v1::task_spec::Action {
    use v1::task_spec::Action;
    match program {
        Program::Command(argv) => Action::Command(command(argv)),
        Program::Script { text, interpreter } => Action::Script(script(text, interpreter)),
        Program::Steps(steps) => {
            Action::Steps(v1::Steps { steps: steps.iter().map(step_to_proto).collect() })
        }
        Program::PutBack(attempt) => Action::PutBack(v1::PutBack {
            job: job_name(&attempt.job),
            task_id: attempt.task.to_string(),
            token: attempt.token.to_string(),
        }),
    }
}

/// Reads what a task runs.
pub(crate) fn program_from_proto(action: v1::task_spec::Action) -> Result<Program, Malformed> {
    use v1::task_spec::Action;
    Ok(match action {
        Action::Command(command) => Program::Command(command.argv),
        Action::Script(script) => read_script(script),
        Action::Steps(steps) => {
            let read = |(i, step)| {
                step_from_proto(step)
                    .map_err(|malformed| malformed.below(format_args!("steps.steps[{i}]")))
            };
            Program::Steps(steps.steps.into_iter().enumerate().map(read).collect::<Result<_, _>>()?)
        }
        Action::PutBack(put_back) => Program::PutBack(AttemptId {
            job: read_job_name("put_back.job", &put_back.job)?,
            task: parse("put_back.task_id", &put_back.task_id)?,
            token: read_token("put_back.token", &put_back.token)?,
        }),
    })
}

fn step_to_proto(step: &Step) -> v1::Step {
    use v1::step::Action;
    let action = match &step.program {
        Program::Command(argv) => Some(Action::Command(command(argv))),
        Program::Script { text, interpreter } => Some(Action::Script(script(text, interpreter))),
        // No checked job has them within steps; the reader refuses what is left.
        Program::Steps(_) | Program::PutBack(_) => None,
    };
    v1::Step { name: step.name.to_string(), action }
}

fn step_from_proto(proto: v1::Step) -> Result<Step, Malformed> {
    use v1::step::Action;
    let program = match set("action", proto.action)? {
        Action::Command(command) => Program::Command(command.argv),
        Action::Script(script) => read_script(script),
    };
    Ok(Step { name: parse::<StepName>("name", &proto.name)?, program })
}

/// Writes an argument vector.
pub(crate) fn command(argv: &[String]) -> v1::Command {
    v1::Command { argv: argv.to_vec() }
}

/// Writes a script.
pub(crate) fn script(text: &str, interpreter: &[String]) -> v1::Script {
    v1::Script { text: text.to_owned(), interpreter: interpreter.to_vec() }
}

/// Reads a script.
pub(crate) fn read_script(script: v1::Script) -> Program {
    let interpreter = if script.interpreter.is_empty() {
        INTERPRETER_DEFAULT.map(str::to_owned).to_vec()
    } else {
        script.interpreter
    };
    Program::Script { text: script.text, interpreter }
}
