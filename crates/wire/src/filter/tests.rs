//! What filters choose, and what is said of those that mean nothing.

use std::collections::BTreeMap;

use votum_ids::JobId;

use super::*;

const HOUR: u64 = 3_600_000;
const NOW: WallTime = WallTime(1_000 * HOUR);

#[test]
fn every_kind_of_condition_chooses_as_it_reads() {
    for holds in [
        "state = RUNNING",
        "state:running",
        "state != COMMITTED",
        "name = nightly",
        "display_name = \"night*\"",
        "name = *ght*",
        "id = nightly-k3f9x2ab",
        "id:*x2ab",
        "by = ana",
        "creator != ci",
        "labels.team = sales",
        "labels.team != ops",
        "labels.none != ops",
        "labels:team",
        "labels.team:*",
        "labels.\"a b\" = 'c\\'d'",
        "labels.app.example.com/tier = 2",
        "received > -24h",
        "created >= 1970-02-10",
        "create_time <= 1970-02-11T15:00:00Z",
        "received < \"1970-02-11T17:00:01+02:00\"",
        "NOT ended:*",
        "NOT ended < -1s",
        "cancelled = false",
        "paused != true",
        "state = PAUSED OR state = RUNNING",
        "by = ana labels:team",
        "by = ana AND NOT (by = ci OR name = other)",
        "  ( ( by = ana ) )  ",
        "(by = ci OR by = ana)AND(name = nightly)",
    ] {
        assert_eq!(judged(holds), Some(true), "{holds}");
        assert_eq!(judged(&format!("NOT ({holds})")), Some(false), "NOT ({holds})");
    }
    for fails in ["by = an", "labels.team = ''", "labels:none", "ended > -1w", "state = CANCELLED"]
    {
        assert_eq!(judged(fails), Some(false), "{fails}");
    }
}

#[test]
fn what_means_nothing_is_refused_where_it_goes_wrong() {
    for (text, at, told) in [
        ("", 0, "a condition is missing here"),
        ("state = RUNNING AND", 19, "a condition is missing here"),
        ("()", 1, "a condition is missing here"),
        ("by = ana OR OR by = bob", 12, "a condition is missing here"),
        ("= ana", 0, "`=` begins no condition"),
        ("nightly", 0, "`nightly` is compared with nothing"),
        ("by = ana and by = bob", 9, "write `AND` in capitals"),
        ("-by = ana", 0, "write `NOT` in place of the minus"),
        ("by=a AND by=b OR by=c", 14, "want parentheses"),
        ("by=a by=b OR by=c", 10, "want parentheses"),
        ("by=c AND (by=a", 9, "this parenthesis is not closed"),
        ("by=a)", 4, "no parenthesis is open"),
        ("by='ana", 3, "this quote is not closed"),
        ("by = ana AND stat = RUNNING", 13, "no field `stat`; did you mean `state`?"),
        ("zone = a", 0, "no field `zone`; see `votum list --help`"),
        ("state = RUNING", 8, "no state `RUNING`; did you mean `RUNNING`?"),
        ("state > RUNNING", 0, "not compared by `>`, but by `=`, `!=` and `:`"),
        ("received = 2026-11-20", 0, "but by `<`, `<=`, `>` and `>=`"),
        ("received > yesterday", 11, "`yesterday` is no time"),
        ("received > 24h", 11, "is no time"),
        ("received > -24", 11, "is no time"),
        ("received > -99999999999999999999d", 11, "is no time"),
        ("received > 2026-13-40", 11, "is no time"),
        ("cancelled = yes", 12, "neither `true` nor `false`"),
        ("by =", 4, "a value is missing here"),
        ("by = a=b", 6, "quote a value that has `=` in it"),
        ("name = a*b", 7, "at the beginning or the end"),
        ("labels = sales", 0, "name a label"),
        ("labels. = sales", 0, "name a label"),
    ] {
        let invalid = text.parse::<Filter>().unwrap_err();
        assert_eq!(invalid.at, at, "{text}: {invalid}");
        assert!(invalid.to_string().contains(told), "{text}: {invalid}");
    }
}

#[test]
fn a_filter_is_bounded_in_length_depth_and_conditions() {
    let row = |count| vec!["by=a"; count].join(" ");
    let nested = |depth| format!("{}by=a{}", "(".repeat(depth), ")".repeat(depth));
    let problem = |text: String| text.parse::<Filter>().map_err(|invalid| invalid.problem).err();
    assert_eq!(problem(row(CONDITIONS_MAX)), None);
    assert_eq!(problem(row(CONDITIONS_MAX + 1)), Some(FilterProblem::TooManyConditions));
    assert_eq!(problem(nested(DEPTH_MAX)), None);
    assert_eq!(problem(nested(DEPTH_MAX + 1)), Some(FilterProblem::TooDeep));
    assert_eq!(problem(format!("by={}", "a".repeat(BYTES_MAX - 3))), None);
    let long = format!("by={}", "é".repeat(BYTES_MAX));
    let invalid = long.parse::<Filter>().unwrap_err();
    assert_eq!(invalid.problem, FilterProblem::TooLong);
    assert!(long.is_char_boundary(invalid.at), "{}", invalid.at);
}

#[test]
fn what_is_known_early_is_never_taken_back() {
    let (job, labels) = job();
    let whole = facts(&job, &labels);
    let filters = [
        "state = RUNNING OR labels.team = ops",
        "state != RUNNING AND by = ana",
        "NOT (by = ana AND NOT labels:team) OR ended:*",
        "name = other OR (state = ABORTED AND cancelled = true)",
        "NOT (paused = true OR ended < -1h) AND name = nightly",
    ];
    for filter in filters.map(|text| text.parse::<Filter>().unwrap()) {
        let truth = filter.judge(&whole, NOW);
        assert!(truth.is_some(), "{}", filter.text());
        for known in 0..1 << 7 {
            let told = filter.judge(&partly(&whole, known), NOW);
            assert!(told.is_none() || told == truth, "{} with {known:b}", filter.text());
        }
    }
}

#[test]
fn a_filter_by_time_says_where_a_list_ends() {
    for (text, since) in [
        ("received > -1h", Some(999)),
        ("by = ana AND created >= -2h AND received > -3h", Some(998)),
        ("received > -1h OR received > -5h", Some(995)),
        ("received > -1h OR by = ana", None),
        ("NOT received > -1h", None),
        ("received < -1h", None),
        ("ended > -1h", None),
    ] {
        let filter: Filter = text.parse().unwrap();
        assert_eq!(filter.received_since(NOW), since.map(|hours| WallTime(hours * HOUR)), "{text}");
    }
}

#[test]
fn a_state_is_named_wherever_it_stands() {
    let names = |text: &str| text.parse::<Filter>().unwrap().names(JobState::Quarantined);
    assert!(names("by = ana OR NOT (state = QUARANTINED)"));
    assert!(!names("state != COMMITTED"));
}

fn judged(text: &str) -> Option<bool> {
    let (job, labels) = job();
    let filter: Filter = text.parse().unwrap_or_else(|invalid| panic!("{text}: {invalid}"));
    assert_eq!(filter.text(), text);
    filter.judge(&facts(&job, &labels), NOW)
}

fn job() -> (JobId, BTreeMap<String, String>) {
    let labels = [("team", "sales"), ("a b", "c'd"), ("app.example.com/tier", "2")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    (JobId::new("nightly-k3f9x2ab").unwrap(), labels.into())
}

fn facts<'a>(job: &'a JobId, labels: &'a BTreeMap<String, String>) -> Facts<'a> {
    Facts {
        name: Some("nightly"),
        by: Some("ana"),
        labels: Some(labels),
        state: Some(JobState::Running),
        paused: Some(false),
        cancelled: Some(false),
        ended: Ended::NotYet,
        ..Facts::unknown(job, WallTime(NOW.0 - HOUR))
    }
}

/// Leaves out what the bits of a number do not name.
fn partly<'a>(whole: &Facts<'a>, known: u32) -> Facts<'a> {
    let knows = |bit: u32| known & (1 << bit) != 0;
    Facts {
        name: whole.name.filter(|_| knows(0)),
        by: whole.by.filter(|_| knows(1)),
        labels: whole.labels.filter(|_| knows(2)),
        state: whole.state.filter(|_| knows(3)),
        paused: whole.paused.filter(|_| knows(4)),
        cancelled: whole.cancelled.filter(|_| knows(5)),
        ended: if knows(6) { whole.ended } else { Ended::Unknown },
        ..*whole
    }
}
