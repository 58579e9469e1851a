//! Whether what a command said is what the page shows.
//!
//! Ids, times, sizes and digests differ from run to run: words with digits in them are
//! alike, and so are job ids; a number alone in its line is meant. `...` stands for the rest of a line, or for any lines.

/// Fails unless the lines are alike.
pub(crate) fn assert_alike(place: &str, shown: &[String], said: &[String]) {
    // A page that shows nothing says nothing about it.
    if shown.is_empty() {
        return;
    }
    let said: Vec<&str> = said.iter().map(|line| line.trim_end()).collect();
    let shown: Vec<&str> = shown.iter().map(|line| line.trim_end()).collect();
    assert!(
        are_alike(&shown, &said),
        "{place}\n--- the page shows\n{}\n--- it said\n{}",
        shown.join("\n"),
        said.join("\n")
    );
}

fn are_alike(shown: &[&str], said: &[&str]) -> bool {
    match (shown, said) {
        ([], rest) => rest.is_empty(),
        (["...", later @ ..], _) => {
            (0..=said.len()).any(|skipped| are_alike(later, &said[skipped..]))
        }
        (_, []) => false,
        ([line, later @ ..], [other, rest @ ..]) => is_alike(line, other) && are_alike(later, rest),
    }
}

fn is_alike(shown: &str, said: &str) -> bool {
    // An exit code or a count that stands alone is meant as it stands.
    if shown.bytes().all(|byte| byte.is_ascii_digit()) {
        return shown == said;
    }
    let mut words = said.split_whitespace();
    for word in shown.split_whitespace() {
        if word == "..." {
            return true;
        }
        if !words.next().is_some_and(|other| parts(word).eq(parts(other))) {
            return false;
        }
    }
    words.next().is_none()
}

/// Returns the parts of a word, which may be a path.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    word.split('/').map(kind)
}

/// Returns a part of a word, or what it is an example of.
fn kind(word: &str) -> &str {
    let is_worker = word.strip_prefix('s').is_some_and(|rest| rest.len() == 1);
    let is_job = word.rsplit_once('-').is_some_and(|(name, id)| {
        !name.is_empty() && id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    if is_job || (!is_worker && word.bytes().any(|byte| byte.is_ascii_digit())) {
        "an example"
    } else {
        word
    }
}

#[test]
fn a_page_is_compared_but_for_ids_and_numbers() {
    let said = ["received nightly-tse5vn5d  (3 tasks on s1, s2)", "", "  follow: x"];
    assert!(are_alike(&["received nightly-abcdefgh (4 tasks on s1, s2)", "..."], &said));
    assert!(are_alike(&["received ...", "", "follow: ..."], &said));
    assert!(!are_alike(&["received ..."], &said));
    assert!(!are_alike(&["refused ...", "..."], &said));
    assert!(are_alike(&["in 3.5s"], &["in 7.1s"]) && !are_alike(&["3"], &["7"]));
}
