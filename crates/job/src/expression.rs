//! Expressions that only the worker can replace, because only it knows where an attempt lies:
//! `${{ inputs.X }}`, `${{ outputs.X }}` and `${{ job.id }}`.
//!
//! They are replaced in the words of a command and in a task's environment, never
//! in the text of a script. `$${{` stands for a literal `${{`.

/// What an expression asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expression<'a> {
    /// The path of an input.
    Input(&'a str),
    /// The path of an output.
    Output(&'a str),
    /// The job's id.
    JobId,
}

impl<'a> Expression<'a> {
    /// Reads what stands between `${{` and `}}`; none if it asks for anything else.
    #[must_use]
    pub fn read(inner: &'a str) -> Option<Self> {
        match inner.trim() {
            "job.id" => Some(Self::JobId),
            other => other
                .strip_prefix("inputs.")
                .map(Self::Input)
                .or_else(|| other.strip_prefix("outputs.").map(Self::Output)),
        }
    }

    /// Returns a text with its expressions replaced; one that `value` does not know stays as it is.
    #[must_use]
    pub fn replaced(text: &str, value: impl Fn(Expression<'_>) -> Option<String>) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(OPEN) {
            let behind = &rest[start + OPEN.len()..];
            if let Some(before) = rest[..start].strip_suffix('$') {
                out.push_str(before);
                out.push_str(OPEN);
                rest = behind;
                continue;
            }
            out.push_str(&rest[..start]);
            let expression = behind.find(CLOSE).map(|end| (&behind[..end], end + CLOSE.len()));
            let known = expression
                .and_then(|(inner, length)| Some((value(Expression::read(inner)?)?, length)));
            if let Some((value, length)) = known {
                out.push_str(&value);
                rest = &behind[length..];
            } else {
                out.push_str(OPEN);
                rest = behind;
            }
        }
        out + rest
    }

    /// Returns a text in which nothing is replaced: it comes out as it is given.
    #[must_use]
    pub fn escaped(text: &str) -> String {
        text.replace(OPEN, "$${{")
    }
}

const OPEN: &str = "${{";
const CLOSE: &str = "}}";

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> String {
        Expression::replaced(text, |expression| match expression {
            Expression::Input("rows") => Some("/in/rows".to_owned()),
            Expression::Output("site") => Some("/out/site".to_owned()),
            Expression::JobId => Some("sales-7".to_owned()),
            Expression::Input(_) | Expression::Output(_) => None,
        })
    }

    #[test]
    fn known_expressions_are_replaced_wherever_they_stand() {
        assert_eq!(
            replaced("--in=${{ inputs.rows }},${{outputs.site}}"),
            "--in=/in/rows,/out/site"
        );
        assert_eq!(replaced("${{ job.id }}/${{ job.id }}"), "sales-7/sales-7");
    }

    #[test]
    fn what_is_unknown_or_not_closed_stays_as_it_is() {
        for text in ["${{ inputs.other }}", "${{ params.x }}", "${{ job.id", "$HOME }}", "${{}}"] {
            assert_eq!(replaced(text), text);
        }
        assert_eq!(replaced("${{ x }} ${{ job.id }}"), "${{ x }} sales-7");
    }

    #[test]
    fn escaped_text_comes_out_as_it_was_given() {
        for text in ["${{ job.id }}", "$${{ job.id }}", "$$${{", "a ${{ inputs.rows }}}} b", "$"] {
            assert_eq!(replaced(&Expression::escaped(text)), text);
        }
    }
}
