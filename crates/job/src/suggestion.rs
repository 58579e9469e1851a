//! What was perhaps meant: the known name that is nearest to a mistyped one.

/// Returns the name nearest to `wanted`, if it is near enough to be a slip.
pub(crate) fn nearest<'a, T>(wanted: &str, names: impl Iterator<Item = (&'a str, T)>) -> Option<T> {
    let tolerance = (wanted.len() / 3).max(1);
    names
        .filter(|(name, _)| name.len().abs_diff(wanted.len()) <= tolerance)
        .map(|(name, value)| (distance(wanted, name), value))
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, value)| value)
}

/// Counts the single-character edits that turn one text into the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_edits() {
        assert_eq!(distance("load", "load"), 0);
        assert_eq!(distance("laod", "load"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let names = ["extract", "load", "transform"];
        let near = |wanted| nearest(wanted, names.into_iter().map(|name| (name, name)));
        assert_eq!(near("extrat"), Some("extract"));
        assert_eq!(near("loads"), Some("load"));
        assert_eq!(near("publish"), None);
    }
}
