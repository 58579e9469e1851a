//! Which syncs are missed when they are left out.

use std::collections::{BTreeMap, BTreeSet};

/// Prints how the absence of each sync showed, by its role, and fails unless those of which
/// nothing shows are exactly those that are known, each with its reason.
///
/// # Panics
/// If they are not.
#[expect(clippy::print_stdout, reason = "whoever reads the test wants to know how")]
pub fn judge_absences(shown: &BTreeMap<String, Option<String>>, silent: &[(&str, &str)]) {
    for (role, why) in shown {
        println!("{role}: {}", why.as_deref().unwrap_or("NOT CAUGHT"));
    }
    let unseen = shown.iter().filter(|(_, why)| why.is_none()).map(|(role, _)| role.as_str());
    let known = silent.iter().map(|(role, _why)| *role);
    let (unseen, known): (BTreeSet<&str>, BTreeSet<&str>) = (unseen.collect(), known.collect());
    assert_eq!(unseen, known, "syncs whose absence no image shows");
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn the_list_of_what_is_not_seen_is_exact() {
        let shown: BTreeMap<_, _> =
            [("file".to_owned(), Some("it is empty".to_owned())), ("folder".to_owned(), None)]
                .into();
        judge_absences(&shown, &[("folder", "it goes")]);
        assert!(catch_unwind(|| judge_absences(&shown, &[])).is_err());
        let both = [("folder", "it goes"), ("file", "it stays")];
        assert!(catch_unwind(|| judge_absences(&shown, &both)).is_err());
    }
}
