//! Every metric is in `docs/metrics.md`, and whatever dashboards and alerts name is a metric.

use std::{collections::BTreeSet, fs};

use crate::sources::{root, sources};

#[test]
fn the_page_lists_every_metric_and_no_other() {
    let (listed, registered) = (listed(), registered());
    let stem = |name: &String| stem(name, &registered);
    let missing: Vec<_> =
        registered.iter().filter(|name| !listed.iter().any(|one| stem(one) == **name)).collect();
    let unknown: Vec<_> = listed.iter().filter(|name| !registered.contains(&stem(name))).collect();
    assert!(missing.is_empty(), "docs/metrics.md lacks {missing:?}");
    assert!(unknown.is_empty(), "docs/metrics.md has what no program shows: {unknown:?}");
}

/// Returns the names in the first column of the page's tables.
fn listed() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned())).collect()
}

/// Returns the names that the sources register, with their units and without the types' suffixes.
pub(crate) fn registered() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources() {
        if !(source.path.contains("/src/metrics") || source.is_in("crates/metrics/src")) {
            continue;
        }
        let code: Vec<&str> = source.code_lines().map(|(_, line)| line).collect();
        let code = code.join("\n");
        for (at, _) in code.match_indices('"') {
            let Some((name, rest)) = code[at + 1..].split_once('"') else { continue };
            let is_name = ["votum_", "process_"].iter().any(|prefix| name.starts_with(prefix))
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if !is_name {
                continue;
            }
            // The unit stands between the help and the metric, before the call ends.
            let call = rest.split(");").next().unwrap_or(rest);
            let unit =
                [("Unit::Seconds", "_seconds"), ("Unit::Bytes", "_bytes"), ("\"fds\"", "_fds")]
                    .into_iter()
                    .find_map(|(word, suffix)| call.contains(word).then_some(suffix));
            names.insert(format!("{name}{}", unit.unwrap_or_default()));
        }
    }
    assert!(names.len() > 30, "the metrics were not found: {names:?}");
    names
}

/// Returns the name of a family without what its type adds to the names of its samples.
pub(crate) fn stem(name: &str, registered: &BTreeSet<String>) -> String {
    if registered.contains(name) {
        return name.to_owned();
    }
    let cut = ["_total", "_bucket", "_sum", "_count", "_info"];
    let found = cut.iter().find_map(|suffix| name.strip_suffix(suffix));
    found.unwrap_or(name).to_owned()
}

#[test]
fn dashboards_and_alerts_name_only_metrics_that_exist() {
    let registered = registered();
    let mut used = 0;
    for page in ["docs/alerts.yml", "docs/grafana/votum.json"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for name in text.split(|one: char| !(one.is_ascii_lowercase() || one == '_')) {
            let is_metric = ["votum_", "process_"].iter().any(|prefix| name.starts_with(prefix));
            if is_metric {
                used += 1;
                assert!(registered.contains(&stem(name, &registered)), "{page} names {name}");
            }
        }
    }
    assert!(used > 60, "only {used} names were found");
}

#[test]
fn every_alert_names_a_section_of_the_runbook_that_names_it() {
    let alerts = fs::read_to_string(root().join("docs/alerts.yml")).unwrap();
    let runbook = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let headings = runbook.lines().filter(|line| line.starts_with("##"));
    let sections: BTreeSet<String> = headings.map(anchor).collect();
    let (mut alert, mut seen) = ("", 0);
    for line in alerts.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            alert = name;
        } else if let Some(section) = line.strip_prefix("runbook: \"operations.md#") {
            let section = section.trim_end_matches('"');
            assert!(sections.contains(section), "{alert}: there is no section {section}");
            let row = runbook.lines().find(|line| line.starts_with('|') && line.contains(alert));
            assert!(row.is_some(), "the runbook's table does not have {alert}");
            seen += 1;
        }
    }
    assert_eq!(seen, alerts.matches("- alert: ").count(), "an alert without a section");
}

#[test]
fn every_link_into_the_runbook_leads_to_a_section() {
    let runbook = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let sections: BTreeSet<String> =
        runbook.lines().filter(|line| line.starts_with("##")).map(anchor).collect();
    let joined = runbook.replace("\n  ", " ").replace("\n   ", " ");
    let links = joined.split("](#").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    let dangling: Vec<_> = links.filter(|link| !sections.contains(*link)).collect();
    assert!(dangling.is_empty(), "{dangling:?}");
}

/// Returns what a heading is called in links: as GitHub makes it.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|one| one.is_alphanumeric() || matches!(one, ' ' | '-' | '_'));
    kept.map(|one| if one == ' ' { '-' } else { one }).collect()
}
