//! "Did you mean": the known name that is closest to a mistyped one.

/// Returns the closest of `known`, if it is close enough to be meant.
pub fn closest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = (typed.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (distance(typed, name), name))
        .filter(|&(distance, _)| distance <= near)
        .min()
        .map(|(_, name)| name)
}

/// Counts the insertions, deletions, replacements and swaps of neighbours between two names
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(NAME_CHARS_MAX).collect(), b.chars().take(NAME_CHARS_MAX).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let replaced = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

/// Longer texts are no names, and comparing them would take long.
const NAME_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_name_that_was_meant() {
        let known = ["timeout", "retry", "outputs", "inputs", "needs"];
        assert_eq!(closest("timout", known), Some("timeout"));
        assert_eq!(closest("retrys", known), Some("retry"));
        assert_eq!(closest("ouptuts", known), Some("outputs"));
        assert_eq!(closest("need", known), Some("needs"));
    }

    #[test]
    fn a_strange_word_suggests_nothing() {
        assert_eq!(closest("checkpoint", ["timeout", "retry"]), None);
        assert_eq!(closest("", ["timeout"]), None);
    }
}
