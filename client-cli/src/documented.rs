//! Every command that the documents show is one that the command line understands.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Parser as _;

use crate::args::Cli;

#[test]
fn every_command_in_the_documents_is_understood() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages = vec![root.join("README.md")];
    collect(&root.join("docs"), &mut pages);
    // The program's own help, whose examples stand in columns with what they do.
    pages.retain(|page| !page.ends_with("cli.md"));
    let (mut seen, mut wrong) = (0, Vec::new());
    for page in &pages {
        for (line, words) in commands(&fs::read_to_string(page).unwrap()) {
            seen += 1;
            if let Err(error) = Cli::try_parse_from(&words) {
                let kind = error.kind();
                let shown = matches!(
                    kind,
                    clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion
                );
                if !shown {
                    wrong.push(format!("{}:{line}: {words:?}\n{error}", page.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 30, "only {seen} commands were found");
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Decisions tell what was thought of once.
        if path.is_dir() && !path.ends_with("decisions") {
            collect(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
}

/// Returns the commands in the blocks of a page that call one of the programs, by their lines.
fn commands(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut commands = Vec::new();
    let mut in_block = false;
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if line.starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let mut typed = line.trim_start().trim_start_matches("$ ").to_owned();
        while in_block && typed.ends_with('\\') {
            typed.pop();
            typed.push_str(lines.next().map_or("", |(line, _)| line));
        }
        let words = words(&typed);
        let program = words.first().map(String::as_str);
        let under = match program {
            _ if !in_block => continue,
            Some("votum") => vec!["votum"],
            Some("votum-coordinator") => vec!["votum", "internal", "coordinator"],
            Some("votum-worker") => vec!["votum", "internal", "worker"],
            Some(_) | None => continue,
        };
        // A line that talks about a program is no command.
        if words.get(1).is_some_and(|word| word.ends_with(':')) {
            continue;
        }
        let typed = under.into_iter().map(String::from);
        commands.push((number, typed.chain(words.into_iter().skip(1)).collect()));
    }
    commands
}

/// Splits a line as a shell would, as far as the documents use one, up to its first operator.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '>' | ';' | '&') => {
                // The number of a descriptor belongs to the operator.
                word = word.filter(|word| letter != '>' || word != "2");
                break;
            }
            (None, ' ') => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}
