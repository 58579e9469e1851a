//! What can be set for a daemon, told by the very types that read it: for the reference, and for
//! whoever asks which value is in effect and where it comes from.
//!
//! Flags, variables, helps and defaults come from clap's command; the keys of
//! the file are what its type accepts, found by asking for one that it does not.

mod measure;

use std::{fmt::Write as _, fs, io, path::Path};

use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

pub use measure::{Bytes, InvalidMeasure, Span};

/// Something that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the file, with its sections, such as `workers.lease_ms`.
    pub key: Option<String>,
    /// Its flag without dashes.
    pub flag: Option<String>,
    /// Its variable.
    pub variable: Option<String>,
    /// What it is.
    pub help: String,
    /// What is taken if nobody sets it.
    pub default: Option<String>,
    /// The name that clap has for its flag.
    id: Option<String>,
}

/// A key of the file whose flag has another name, or which has none.
#[derive(Debug, Clone, Copy)]
pub struct KeyNote {
    /// The key with its sections.
    pub key: &'static str,
    /// The name that clap has for the flag, or what the key is, with `[default: …]`.
    pub note: Note,
}

/// What there is to say of a key.
#[derive(Debug, Clone, Copy)]
pub enum Note {
    /// The name that clap has for its flag.
    Flag(&'static str),
    /// It has no flag: what it is, with `[default: …]` at the end.
    Help(&'static str),
}

/// Lists what can be set: every flag of the command, and every key of the file's type `F`.
///
/// # Errors
/// Names a key that is in neither list: it would be undocumented.
pub fn settings<F: DeserializeOwned>(
    command: &Command,
    notes: &[KeyNote],
) -> Result<Vec<Setting>, String> {
    let mut flags: Vec<&Arg> = command.get_arguments().filter(|arg| is_setting(arg)).collect();
    let mut found = Vec::new();
    for key in keys::<F>() {
        let note = notes.iter().find(|note| note.key == key).map(|note| note.note);
        if let Some(Note::Help(help)) = note {
            let (help, default) = split(help);
            let (flag, variable, id) = (None, None, None);
            found.push(Setting { key: Some(key), flag, variable, help, default, id });
            continue;
        }
        let last = key.rsplit('.').next().unwrap_or(&key);
        let id = match note {
            Some(Note::Flag(id)) => id,
            Some(Note::Help(_)) | None => last,
        };
        let at = flags.iter().position(|arg| arg.get_id() == id);
        let arg = flags.remove(at.ok_or_else(|| format!("nothing says what {key} is"))?);
        found.push(setting(arg, Some(key)));
    }
    found.extend(flags.into_iter().map(|arg| setting(arg, None)));
    Ok(found)
}

/// Writes down every value that is in effect, each with its origin; `file` is the one in use.
///
/// # Errors
/// When the file cannot be read or is no TOML.
pub fn in_effect(
    settings: &[Setting],
    matches: &ArgMatches,
    file: Option<&Path>,
) -> io::Result<String> {
    let Some(path) = file else { return Ok(effective(settings, matches, None)) };
    let table: Table = toml::from_str(&fs::read_to_string(path)?).map_err(io::Error::other)?;
    Ok(effective(settings, matches, Some((&path.display().to_string(), &table))))
}

fn effective(settings: &[Setting], matches: &ArgMatches, file: Option<(&str, &Table)>) -> String {
    let mut text = String::new();
    for setting in settings {
        let (value, origin) = of(setting, matches, file);
        let name = setting.key.clone().or_else(|| Some(format!("--{}", setting.flag.as_ref()?)));
        // Writing to a text does not fail.
        let _ = writeln!(text, "{:<32} {value:<32} # {origin}", name.unwrap_or_default());
    }
    text
}

/// Writes the reference of one program as a table.
#[must_use]
pub fn reference(settings: &[Setting]) -> String {
    let mut text =
        "| in the file | flag | variable | what it is | default |\n|---|---|---|---|---|\n"
            .to_owned();
    let code = |word: Option<String>| word.map(|word| format!("`{word}`")).unwrap_or_default();
    for setting in settings {
        let Setting { key, flag, variable, help, default, .. } = setting;
        let flag = flag.as_ref().map(|flag| format!("--{flag}"));
        let cells = [code(key.clone()), code(flag), code(variable.clone())].join(" | ");
        let help = help.replace('|', "\\|");
        let _ = writeln!(text, "| {cells} | {help} | {} |", default.clone().unwrap_or_default());
    }
    text
}

/// Returns the value in effect and where it comes from.
fn of(setting: &Setting, matches: &ArgMatches, file: Option<(&str, &Table)>) -> (String, String) {
    let source = setting.id.as_deref().and_then(|id| matches.value_source(id));
    let given = |id: &str| {
        let raw = matches.get_raw(id).into_iter().flatten();
        raw.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(", ")
    };
    let value = setting.id.as_deref().map(given).unwrap_or_default();
    match source {
        Some(ValueSource::CommandLine) => {
            (shown(value), format!("--{}", setting.flag.as_deref().unwrap_or_default()))
        }
        Some(ValueSource::EnvVariable) => {
            (shown(value), setting.variable.clone().unwrap_or_default())
        }
        _default_or_none => {
            let in_file = setting.key.as_deref().zip(file).and_then(|(key, (path, table))| {
                let mut parts = key.split('.');
                let first = table.get(parts.next()?)?;
                let value = parts.try_fold(first, |value, part| value.as_table()?.get(part))?;
                Some((one_line(value), path.to_owned()))
            });
            let default = || setting.default.clone().unwrap_or_else(|| "-".to_owned());
            in_file.unwrap_or_else(|| (default(), "default".to_owned()))
        }
    }
}

/// A flag without a value says yes.
fn shown(value: String) -> String {
    if value.is_empty() { "true".to_owned() } else { value }
}

fn one_line(value: &Value) -> String {
    value.to_string().replace('\n', " ")
}

fn setting(arg: &Arg, key: Option<String>) -> Setting {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let (help, said) = split(&help);
    let given: Vec<_> =
        arg.get_default_values().iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let switch = matches!(arg.get_action(), ArgAction::SetTrue).then(|| "no".to_owned());
    let default = said.or(switch).or_else(|| (!given.is_empty()).then(|| given.join(", ")));
    Setting {
        key,
        flag: arg.get_long().map(str::to_owned),
        variable: arg.get_env().map(|name| name.to_string_lossy().into_owned()),
        help,
        default,
        id: Some(arg.get_id().to_string()),
    }
}

/// Parts a help from the default that stands at its end.
fn split(help: &str) -> (String, Option<String>) {
    let help = help.replace('\n', " ");
    match help.rsplit_once("[default: ") {
        Some((before, default)) => {
            let default = default.trim_end_matches(['.', ']']).trim_end_matches(']').to_owned();
            let words = before.trim_end().trim_end_matches('.').to_owned();
            (words, Some(default))
        }
        None => (help.trim_end_matches('.').to_owned(), None),
    }
}

/// Says whether a flag sets something, rather than say what the program shall do.
fn is_setting(arg: &Arg) -> bool {
    arg.get_long().is_some()
        && !arg.is_hide_set()
        && !["help", "version", "config", "check_config"].contains(&arg.get_id().as_str())
}

/// Returns the keys that a file's type accepts, those of its sections with their names.
fn keys<F: DeserializeOwned>() -> Vec<String> {
    let mut all = Vec::new();
    for key in accepted::<F>(&format!("{UNKNOWN} = 0")) {
        let below = accepted::<F>(&format!("[{key}]\n{UNKNOWN} = 0"));
        if below.is_empty() {
            all.push(key);
        } else {
            all.extend(below.into_iter().map(|one| format!("{key}.{one}")));
        }
    }
    all
}

/// Returns what could have stood in the place of a key that is not known.
fn accepted<F: DeserializeOwned>(text: &str) -> Vec<String> {
    let Err(error) = toml::from_str::<F>(text) else { return Vec::new() };
    let told = error.message();
    match told.split_once(&format!("unknown field `{UNKNOWN}`, expected")) {
        Some((_, list)) => list.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
        None => Vec::new(),
    }
}

/// A key that no file has.
const UNKNOWN: &str = "a-key-that-is-not-known";

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches as _};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Args)]
    struct Flags {
        /// Where to listen [default: 127.0.0.1:1].
        #[arg(long, env = "TRY_LISTEN")]
        listen: Option<String>,
        /// How long a lease is [default: 15s].
        #[arg(long, env = "TRY_LEASE")]
        lease: Option<String>,
        /// Whether to be loud.
        #[arg(long)]
        loud: bool,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct File {
        listen: Option<String>,
        workers: Workers,
        labels: std::collections::BTreeMap<String, String>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Workers {
        lease: Option<String>,
    }

    #[test]
    fn every_key_and_every_flag_is_listed_once() {
        let names: Vec<_> =
            listed().into_iter().map(|one| (one.key.unwrap_or_default(), one.flag)).collect();
        let flag = |name: &str| Some(name.to_owned());
        let expected = [
            ("listen".to_owned(), flag("listen")),
            ("workers.lease".to_owned(), flag("lease")),
            ("labels".to_owned(), None),
            (String::new(), flag("loud")),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_key_that_nobody_describes_is_an_error() {
        let refused = settings::<File>(&command(), &[]).unwrap_err();
        assert_eq!(refused, "nothing says what labels is");
    }

    #[test]
    fn each_value_is_shown_with_its_origin() {
        let matches = command().try_get_matches_from(["try", "--lease", "9s"]).unwrap();
        assert!(Flags::from_arg_matches(&matches).is_ok());
        let file = toml::from_str("listen = \"0.0.0.0:7\"\n[workers]\nlease = \"1s\"").unwrap();
        let text = effective(&listed(), &matches, Some(("try.toml", &file)));
        let words: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[0], ["listen", "\"0.0.0.0:7\"", "#", "try.toml"]);
        assert_eq!(words[1], ["workers.lease", "9s", "#", "--lease"]);
        assert_eq!(words[2], ["labels", "none", "#", "default"]);
        assert_eq!(words[3], ["--loud", "no", "#", "default"]);
    }

    fn command() -> Command {
        Flags::augment_args(Command::new("try"))
    }

    fn listed() -> Vec<Setting> {
        let notes = [KeyNote { key: "labels", note: Note::Help("For placement [default: none]") }];
        settings::<File>(&command(), &notes).unwrap()
    }
}
