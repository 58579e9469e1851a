//! The commands that every task finds in front of its `PATH`.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::config::Config;

/// Puts the commands where tasks find them; returns the directory.
///
/// Each is there and whole or not there, also for tasks that an earlier start of
/// the daemon left running.
pub(crate) fn install(config: &Config) -> io::Result<PathBuf> {
    let dir = config.tools_dir();
    fs::create_dir_all(&dir)?;
    for (name, text) in TOOLS {
        let aside = dir.join(format!(".{name}.new"));
        fs::write(&aside, text)?;
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o755))?;
        fs::rename(&aside, dir.join(name))?;
    }
    Ok(dir)
}

/// Returns a `PATH` in which the commands come first.
pub(crate) fn path_with(tools: &Path, path: Option<&str>) -> String {
    let path = path.unwrap_or(PATH_BY_DEFAULT);
    let tools = tools.to_string_lossy();
    if path.is_empty() { tools.into_owned() } else { format!("{tools}:{path}") }
}

const TOOLS: [(&str, &str); 1] = [("votum-report", include_str!("votum-report.sh"))];

/// Where commands are looked up if neither the job nor the operator says so.
const PATH_BY_DEFAULT: &str = "/usr/bin:/bin";

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use tempfile::TempDir;

    use super::*;

    struct Task {
        dir: TempDir,
    }

    impl Task {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let tool = dir.path().join("votum-report");
            fs::write(&tool, TOOLS[0].1).unwrap();
            Self { dir }
        }

        fn report_path(&self) -> PathBuf {
            self.dir.path().join("a report")
        }

        /// Runs the command as a task would: elsewhere, and with nothing in the `PATH`.
        fn run(&self, arguments: &[&str]) -> Output {
            let mut command = Command::new("/bin/sh");
            command.arg(self.dir.path().join("votum-report")).args(arguments).current_dir("/");
            command.env_clear().env("PATH", "/bin:/usr/bin");
            command.env("VOTUM_REPORT", self.report_path()).output().unwrap()
        }

        fn lines(&self) -> String {
            fs::read_to_string(self.report_path()).unwrap_or_default()
        }
    }

    #[test]
    fn each_call_appends_one_line() {
        let task = Task::new();
        for arguments in [
            &["progress", "120/400", "rows"][..],
            &["progress", "0.35", "page 7"],
            &["progress", "35.5%"],
            &["heartbeat"],
            &["warning", "it's \"slow\"\n$(id) `id` \\n *", "%s\n"],
        ] {
            let output = task.run(arguments);
            assert!(output.status.success(), "{arguments:?}: {output:?}");
        }
        let expected = [
            "progress 120/400 rows",
            "progress 0.35 page 7",
            "progress 35.5%",
            "heartbeat",
            "warning it's \"slow\" $(id) `id` \\n * %s ",
            "",
        ];
        assert_eq!(task.lines(), expected.join("\n"));
    }

    #[test]
    fn wrong_usage_writes_nothing_and_says_so() {
        let task = Task::new();
        for arguments in [
            &[][..],
            &["progres"],
            &["progress"],
            &["progress", "1/"],
            &["progress", "-1"],
            &["progress", "1/2/3"],
            &["progress", "half"],
            &["heartbeat", "now"],
            &["warning"],
            &["warning", ""],
        ] {
            let output = task.run(arguments);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
            assert!(!output.stderr.is_empty());
        }
        assert_eq!(task.lines(), "");
    }

    #[test]
    fn a_line_that_cannot_be_written_is_an_error() {
        let task = Task::new();
        fs::create_dir(task.report_path()).unwrap();
        let output = task.run(&["heartbeat"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(task.run(&["--help"]).status.code(), Some(0));
    }

    #[test]
    fn the_commands_come_before_everything_else() {
        let tools = Path::new("/t");
        assert_eq!(path_with(tools, Some("/opt/bin:/bin")), "/t:/opt/bin:/bin");
        assert_eq!(path_with(tools, None), "/t:/usr/bin:/bin");
        assert_eq!(path_with(tools, Some("")), "/t");
    }
}
