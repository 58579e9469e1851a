//! The report as a page that needs nothing else: tables, and plots drawn in place.

use std::fmt::Write as _;

use crate::{
    goals::{Judged, Mark},
    plot::plot,
    report::Report,
};

/// Draws the whole page.
pub(crate) fn page(report: &Report) -> String {
    let mut body = String::new();
    let machine = &report.machine;
    for (name, value) in [
        ("Processor", format!("{} x {}", machine.cpus, machine.cpu)),
        ("Memory", format!("{:.0} GiB", machine.memory_gib)),
        ("Kernel", machine.kernel.clone()),
        ("Filesystem", machine.filesystem.clone()),
        ("Votum", machine.version.clone()),
        ("Load before (1, 5, 15 min)", machine.load_before.clone()),
        ("Load after", machine.load_after.clone()),
    ] {
        row(&mut body, "td", &[name.to_owned(), value]);
    }
    let goals: String = report.goals.iter().map(goal_row).collect();
    let mut figures = String::new();
    for (name, figure) in &report.figures {
        let numbers = [figure.median, figure.min, figure.max].map(number);
        let [median, min, max] = numbers;
        let unit = figure.unit.to_owned();
        row(
            &mut figures,
            "td",
            &[name.clone(), median, min, max, unit, figure.runs.len().to_string()],
        );
    }
    let plots: String = report.curves.iter().map(plot).collect();
    let notes: String =
        report.notes.iter().map(|note| format!("<li>{}</li>", escaped(note))).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Votum: benchmarks</title><style>{STYLE}</style></head><body>\
         <h1>Votum: benchmarks</h1><table>{body}</table>\
         <h2>Goals</h2><p>D is the median of one append of 300 bytes with fdatasync, G that of one \
         unary gRPC call, both of this run.</p>\
         <table><tr><th>Goal</th><th>What</th><th>Measured</th><th>Must</th><th></th>\
         <th>Stretch</th><th></th></tr>{goals}</table>\
         <h2>Growth</h2><p>The dashed line is n log n through the first point.</p>{plots}\
         <h2>Figures</h2><table><tr><th>Name</th><th>Median</th><th>Least</th><th>Most</th>\
         <th>Unit</th><th>Runs</th></tr>{figures}</table>\
         <h2>Notes</h2><ul>{notes}</ul></body></html>\n"
    )
}

fn row(table: &mut String, cell: &str, cells: &[String]) {
    let cells: String =
        cells.iter().map(|text| format!("<{cell}>{}</{cell}>", escaped(text))).collect();
    // Writing into a text cannot fail.
    let _ = write!(table, "<tr>{cells}</tr>");
}

fn goal_row(judged: &Judged) -> String {
    let measured = judged
        .measured
        .map_or_else(|| "–".to_owned(), |value| format!("{} {}", number(value), judged.unit));
    let (must, stretch) = (cells(&judged.must), cells(&judged.stretch));
    let (goal, what) = (escaped(judged.goal), escaped(judged.what));
    format!("<tr><td>{goal}</td><td>{what}</td><td>{}</td>{must}{stretch}</tr>", escaped(&measured))
}

fn cells(mark: &Mark) -> String {
    let bound = mark.bound.map(|bound| format!(" = {}", number(bound))).unwrap_or_default();
    let word = mark.verdict.word();
    let class = word.replace([' ', '–'], "");
    format!("<td>{}{bound}</td><td class=\"{class}\">{word}</td>", escaped(mark.text))
}

/// Writes a number with three digits that count.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _small => format!("{value:.3}"),
    }
}

/// Makes a text safe between tags.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1a1c20;--paper:#fff;--line:#c9ced6;--good:#176b3a;--bad:#a4262c;--dim:#6b7280;--data:#2457c5}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#15171a;--line:#3b4048;--good:#6fd398;--bad:#ff8f8f;--dim:#9aa2ad;--data:#8ab0ff}}\
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:70rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;margin:.5rem 0;display:block;overflow-x:auto}\
td,th{border-bottom:1px solid var(--line);padding:.25rem .7rem .25rem 0;text-align:left;vertical-align:top}\
.reached{color:var(--good)}.missed{color:var(--bad)}.notmeasured{color:var(--dim)}\
svg{width:100%;max-width:33rem;height:auto}svg text{fill:var(--ink);font-size:12px}\
.axis{stroke:var(--line);fill:none}.data{stroke:var(--data);fill:none;stroke-width:2}.dot{fill:var(--data)}\
.bound{stroke:var(--dim);fill:none;stroke-dasharray:5 4}figure{display:inline-block;margin:.5rem 1rem .5rem 0}";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{goals::judged, machine::MachineView};

    fn drawn() -> String {
        let mut report = Report::begun(MachineView::of(std::path::Path::new("/")));
        report.add("limit.fdatasync", "ms", vec![0.25]);
        report.note("a < b");
        let points = vec![(1_000.0, 1.0), (10_000.0, 12.0), (100_000.0, 150.0)];
        report.draw("Restart", "open jobs", "s", points);
        report.goals = judged(&report);
        page(&report)
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = drawn();
        for outside in ["http:", "https:", "src=", "<link", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("prefers-color-scheme:dark") && page.contains("<svg"));
    }

    #[test]
    fn every_goal_and_figure_is_shown_as_text() {
        let page = drawn();
        for text in ["<td>P1</td>", "<td>P21</td>", "limit.fdatasync", "not measured", "a &lt; b"] {
            assert!(page.contains(text), "{text}");
        }
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        assert_eq!([1234.5, 12.34, 1.234, 0.1234].map(number), ["1234", "12.3", "1.23", "0.123"]);
    }
}
