//! What was looked at, what was found, and what to do about it.

use serde_json::json;

use crate::{
    args::Format,
    context::Context,
    display::{
        paint::Tone,
        table::{Table, cell},
    },
    fault::Fault,
};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    /// As it should be.
    Ok,
    /// It works, but somebody should look.
    Look,
    /// Something does not work.
    Bad,
}

impl Grade {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Look => "look",
            Self::Bad => "bad",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Ok => Tone::Good,
            Self::Look => Tone::Odd,
            Self::Bad => Tone::Bad,
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) grade: Grade,
    pub(super) found: String,
    /// What to do about it; there is something unless all is well.
    pub(super) advice: Option<String>,
}

/// Everything that was looked at, in this order.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Something is as it should be.
    pub(super) fn ok(&mut self, what: &'static str, found: impl Into<String>) {
        self.0.push(Finding { what, grade: Grade::Ok, found: found.into(), advice: None });
    }

    /// Something works, but should be looked at.
    pub(super) fn look(
        &mut self,
        what: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.grade(what, Grade::Look, found, advice);
    }

    /// Something does not work.
    pub(super) fn bad(
        &mut self,
        what: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.grade(what, Grade::Bad, found, advice);
    }

    /// Something is so; the advice counts unless all is well.
    pub(super) fn grade(
        &mut self,
        what: &'static str,
        grade: Grade,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let advice = (grade != Grade::Ok).then(|| advice.into());
        self.0.push(Finding { what, grade, found: found.into(), advice });
    }

    /// Says how bad the worst is.
    pub(super) fn worst(&self) -> Grade {
        self.0.iter().map(|finding| finding.grade).max().unwrap_or(Grade::Ok)
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> &[Finding] {
        &self.0
    }

    /// Tells them.
    pub(super) fn print(&self, context: &Context) -> Result<(), Fault> {
        let screen = &context.screen;
        let text = match screen.format {
            Format::Json => screen.document(&self.json()),
            Format::Name => self
                .0
                .iter()
                .filter(|finding| finding.grade != Grade::Ok)
                .map(|finding| format!("{}\n", finding.what))
                .collect(),
            Format::Table => self.table().text(screen.paint),
        };
        if !text.is_empty() {
            screen.result(&text)?;
        }
        Ok(())
    }

    fn json(&self) -> String {
        let check = |finding: &Finding| {
            let Finding { what, grade, found, advice } = finding;
            let mut check = json!({ "check": what, "grade": grade.word(), "found": found });
            if let Some(advice) = advice {
                check["do"] = json!(advice);
            }
            check
        };
        json!({ "checks": self.0.iter().map(check).collect::<Vec<_>>() }).to_string()
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["CHECK", "GRADE", "FOUND"]);
        for Finding { what, grade, found, advice } in &self.0 {
            let mut lines = found.lines();
            table.row([
                cell(*what),
                cell(grade.word()).tone(grade.tone()),
                cell(lines.next().unwrap_or_default()),
            ]);
            let advice = advice.iter().map(|advice| format!("do: {advice}"));
            for line in lines.map(str::to_owned).chain(advice) {
                table.row([cell(""), cell(""), cell(format!("  {}", line.trim_start()))]);
            }
        }
        table
    }
}
