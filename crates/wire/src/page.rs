//! Page tokens (AIP-158): a position in a list, good for the same list only.

use crate::{problem::Problem, status};

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most this many entries; 1 to [`PAGE_SIZE_MAX`].
    pub size: usize,
    /// Begin after this position; at the start if absent.
    pub after: Option<String>,
}

impl Page {
    /// Reads the paging fields of a request; `arguments` is everything else in it.
    pub(crate) fn read(size: i32, token: &str, arguments: &str) -> Result<Self, tonic::Status> {
        let size = match usize::try_from(size) {
            Ok(0) => PAGE_SIZE_DEFAULT,
            Ok(given) => given.min(PAGE_SIZE_MAX),
            Err(_) => {
                let words = "a page cannot have less than no entries";
                let reason = crate::problem::Reason::Malformed;
                return Err(Problem::words(reason, words).field("page_size", words).into());
            }
        };
        let after = match token {
            "" => None,
            token => Some(unseal(token, arguments).ok_or_else(status::page_token_invalid)?),
        };
        Ok(Self { size, after })
    }
}

/// Returns the token of the page after `position`, for a list of these arguments.
pub(crate) fn seal(position: &str, arguments: &str) -> String {
    let sum = checksum(position, arguments);
    let bytes = sum.to_be_bytes().into_iter().chain(position.bytes());
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the position that a token holds, unless it is of another list.
fn unseal(token: &str, arguments: &str) -> Option<String> {
    let digits = token.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let pair = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    };
    let bytes = digits.chunks_exact(2).map(pair).collect::<Option<Vec<u8>>>()?;
    let (sum, position) = bytes.split_first_chunk::<4>()?;
    let position = std::str::from_utf8(position).ok()?;
    (u32::from_be_bytes(*sum) == checksum(position, arguments)).then(|| position.to_owned())
}

fn checksum(position: &str, arguments: &str) -> u32 {
    let sum = crc32c::crc32c(arguments.as_bytes());
    crc32c::crc32c_append(sum, position.as_bytes())
}

/// How many entries a page has if the request does not say.
pub const PAGE_SIZE_DEFAULT: usize = 50;
/// How many entries a page has at most.
pub const PAGE_SIZE_MAX: usize = 1000;

/// Longer than any position that is ever sealed.
const TOKEN_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_position() {
        let token = seal("2026-sales-7", "states=RUNNING");
        let page = Page::read(10, &token, "states=RUNNING").unwrap();
        assert_eq!(page, Page { size: 10, after: Some("2026-sales-7".to_owned()) });
    }

    #[test]
    fn a_token_of_another_list_is_refused() {
        let token = seal("sales-7", "states=RUNNING");
        for (token, arguments) in [
            (token.as_str(), "states=ABORTED"),
            (&token[2..], "states=RUNNING"),
            ("zz", "states=RUNNING"),
            ("é0", "states=RUNNING"),
            ("abc", "states=RUNNING"),
        ] {
            let status = Page::read(0, token, arguments).unwrap_err();
            assert_eq!(Problem::from_status(&status).reason.as_str(), "PAGE_TOKEN_INVALID");
        }
    }

    #[test]
    fn a_page_size_is_capped_and_never_negative() {
        assert_eq!(Page::read(0, "", "").unwrap().size, PAGE_SIZE_DEFAULT);
        assert_eq!(Page::read(1_000_000, "", "").unwrap().size, PAGE_SIZE_MAX);
        assert!(Page::read(-1, "", "").is_err());
    }
}
