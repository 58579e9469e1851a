//! Columns of text, aligned by what is seen.

use super::paint::{Paint, Tone};

/// A table without lines.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    indent: usize,
    headed: bool,
    rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

impl Table {
    /// Begins a table with a row of headings.
    pub(crate) fn new<const N: usize>(headings: [&str; N]) -> Self {
        let heading =
            |text: &&str| Cell { text: (*text).to_owned(), tone: Tone::Soft, right: false };
        Self { indent: 0, headed: true, rows: vec![headings.iter().map(heading).collect()] }
    }

    /// Begins a table without headings.
    pub(crate) fn bare() -> Self {
        Self { indent: 0, headed: false, rows: Vec::new() }
    }

    /// Moves everything to the right.
    pub(crate) fn indented(mut self, indent: usize) -> Self {
        self.indent = indent;
        self
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        if let (true, [headings]) = (self.headed, self.rows.as_mut_slice()) {
            // A heading stands above what it heads.
            for (heading, cell) in headings.iter_mut().zip(&cells) {
                heading.right = cell.right;
            }
        }
        self.rows.push(cells.into());
    }

    /// Returns the lines, without blanks at their ends.
    pub(crate) fn lines(&self, paint: Paint) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(Cell::width).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.rows.iter().map(|row| self.line(row, &widths, paint)).collect()
    }

    /// Returns the lines as one text, each ended and none wider than a terminal: the widest columns
    /// give way first, and say so by an ellipsis.
    pub(crate) fn fitted(&self, paint: Paint, width: Option<usize>) -> String {
        let Some(room) = width else { return self.text(paint) };
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(Cell::width).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..columns).map(widest).collect();
        let gaps = self.indent + GAP * columns.saturating_sub(1);
        while gaps + widths.iter().sum::<usize>() > room {
            let over = gaps + widths.iter().sum::<usize>() - room;
            // The last of the widest, so that names in front stay whole longest.
            let Some((column, widest)) =
                widths.iter().copied().enumerate().max_by_key(|(_, width)| *width)
            else {
                break;
            };
            if widest <= NARROWEST {
                break;
            }
            let next = widths.iter().copied().filter(|width| *width < widest).max();
            let floor = next.unwrap_or(NARROWEST).max(NARROWEST);
            widths[column] = widest.saturating_sub(over).max(floor.min(widest - 1));
        }
        let mut cut = self.clone();
        for row in &mut cut.rows {
            for (cell, width) in row.iter_mut().zip(&widths) {
                cell.cut(*width);
            }
        }
        cut.text(paint)
    }

    /// Returns the lines as one text, each ended.
    pub(crate) fn text(&self, paint: Paint) -> String {
        self.lines(paint).into_iter().map(|line| line + "\n").collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize], paint: Paint) -> String {
        let mut line = " ".repeat(self.indent);
        let mut owed = 0;
        for (cell, width) in row.iter().zip(widths) {
            let padding = width - cell.width();
            let (before, after) = if cell.right { (padding, 0) } else { (0, padding) };
            if !cell.text.is_empty() {
                line.push_str(&" ".repeat(owed + before));
                line.push_str(&paint.text(cell.tone, &cell.text));
                owed = after + GAP;
            } else {
                owed += width + GAP;
            }
        }
        line
    }
}

impl Cell {
    /// Shows it in a tone.
    pub(crate) fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// Shows a number: at the right of its column.
    pub(crate) fn right(mut self) -> Self {
        self.right = true;
        self
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    fn cut(&mut self, width: usize) {
        if self.width() > width {
            self.text = self.text.chars().take(width.saturating_sub(1)).chain(['…']).collect();
        }
    }
}

/// Makes a cell of anything that is text.
pub(crate) fn cell(text: impl Into<String>) -> Cell {
    Cell { text: text.into(), ..Cell::default() }
}

/// No column gets narrower than this.
const NARROWEST: usize = 8;
/// Blanks between two columns.
const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["JOB", "SIZE", "NOTE"]);
        table.row([cell("a"), cell("7 B").right(), cell("x")]);
        table.row([cell("longer"), cell("120 B").right(), cell("")]);
        assert_eq!(
            table.lines(Paint::Off),
            ["JOB      SIZE  NOTE", "a         7 B  x", "longer  120 B"]
        );
    }

    #[test]
    fn a_table_gives_way_where_it_is_widest() {
        let mut table = Table::new(["JOB", "STATE", "NOTE"]);
        table.row([cell("nightly-k3f9x2ab"), cell("RUNNING"), cell("waits for s1, which is away")]);
        assert_eq!(
            table.fitted(Paint::Off, Some(40)),
            "JOB               STATE    NOTE\nnightly-k3f9x2ab  RUNNING  waits for s1…\n"
        );
        assert_eq!(table.fitted(Paint::Off, None), table.text(Paint::Off));
        assert_eq!(table.fitted(Paint::Off, Some(5)).lines().count(), 2);
    }

    #[test]
    fn colour_does_not_move_a_column() {
        let mut table = Table::bare();
        table.row([cell("ok").tone(Tone::Good), cell("x")]);
        table.row([cell("wrong").tone(Tone::Bad), cell("y")]);
        assert_eq!(table.lines(Paint::On), ["\x1b[32mok\x1b[0m     x", "\x1b[31mwrong\x1b[0m  y"]);
    }
}
