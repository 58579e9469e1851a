//! Paths as texts: what may be written, what may be published, and what overlaps.

use crate::Problem;

/// Longest path, as Linux takes it.
pub(crate) const PATH_BYTES_MAX: usize = 4096;

/// Longest name of a file or directory, as Linux takes it.
const COMPONENT_BYTES_MAX: usize = 255;

/// Where a worker keeps its own files below a publish root.
const RESERVED_COMPONENT: &str = ".votum";

/// Checks the path of an output: relative, and below the output directory.
pub(crate) fn check_output_path(path: &str) -> Result<(), Problem> {
    if path.starts_with('/') {
        return Err(broken(path, "it must be relative"));
    }
    check_components(path).map_err(|rule| broken(path, rule))
}

/// Checks the path of a target: absolute, or relative to a publish root.
pub(crate) fn check_target_path(path: &str) -> Result<(), Problem> {
    check_components(path.strip_prefix('/').unwrap_or(path)).map_err(|rule| broken(path, rule))?;
    if components(path).any(|component| component == RESERVED_COMPONENT) {
        return Err(broken(path, ".votum is reserved for the worker"));
    }
    Ok(())
}

/// Checks the path of something that lies on a worker already.
pub(crate) fn check_worker_path(path: &str) -> Result<(), Problem> {
    if !path.starts_with('/') {
        return Err(broken(path, "it must be absolute"));
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(broken(path, "it is longer than 4096 bytes"));
    }
    if path.contains(['\0', '\n']) {
        return Err(broken(path, "it contains a NUL or a line break"));
    }
    if components(path).any(|component| component == "..") {
        return Err(broken(path, "'..' may not stand in it"));
    }
    Ok(())
}

/// Returns the path without the slash at its end that marks a directory.
pub(crate) fn trimmed(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// Returns every path that `path` lies below, the nearest first.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let path = trimmed(path);
    path.rmatch_indices('/').map(|(end, _)| &path[..end]).filter(|ancestor| !ancestor.is_empty())
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|component| !component.is_empty())
}

/// Returns the rule that a relative path breaks, in words, if it breaks one.
fn check_components(path: &str) -> Result<(), &'static str> {
    let rule = if trimmed(path).is_empty() {
        "it is empty"
    } else if path.len() > PATH_BYTES_MAX {
        "it is longer than 4096 bytes"
    } else if path.contains(['\0', '\n']) {
        "it contains a NUL or a line break"
    } else if trimmed(path).split('/').any(str::is_empty) {
        "'//' may not stand in it"
    } else if trimmed(path).split('/').any(|component| component == "..") {
        "'..' may not stand in it"
    } else if trimmed(path).split('/').any(|component| component == ".") {
        "'.' may not stand in it"
    } else if trimmed(path).chars().any(char::is_control) {
        "a control character may not stand in it"
    } else if components(path).any(|component| component.len() > COMPONENT_BYTES_MAX) {
        "a component is longer than 255 bytes"
    } else {
        return Ok(());
    };
    Err(rule)
}

fn broken(path: &str, rule: &'static str) -> Problem {
    Problem::Path { path: path.chars().take(80).collect(), rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_stays_below_its_directory() {
        for path in ["rows.csv", "a/b/c", "tree/", "..rows", "a.b"] {
            assert_eq!(check_output_path(path), Ok(()), "{path:?}");
        }
        let long = "a".repeat(4097);
        for path in [
            "",
            "/",
            "/abs",
            "../x",
            "a/../../x",
            "a//b",
            "a/./b",
            ".",
            "..",
            "a\0",
            "a\n",
            "//",
            &long,
        ] {
            assert!(check_output_path(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn what_no_filesystem_takes_is_refused_at_once() {
        assert_eq!(check_target_path(&format!("a/{}", "b".repeat(255))), Ok(()));
        for path in [format!("a/{}", "b".repeat(256)), "a\u{1b}[2J".to_owned()] {
            assert!(check_target_path(&path).is_err(), "{path:?}");
            assert!(check_output_path(&path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_target_may_be_absolute_but_never_reserved() {
        for path in ["/srv/sales.csv", "sales.csv", "/srv/sales/", ".votumx"] {
            assert_eq!(check_target_path(path), Ok(()), "{path:?}");
        }
        for path in ["", "/", "//", "/srv/../etc", "a/./b", "/srv/.votum/gen", ".votum", "a\nb"] {
            assert!(check_target_path(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn ancestors_are_named_from_the_nearest_on() {
        assert_eq!(ancestors("/srv/a/b/").collect::<Vec<_>>(), ["/srv/a", "/srv"]);
        assert_eq!(ancestors("a").count(), 0);
    }
}
