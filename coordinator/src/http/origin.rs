//! Keeps other sites' pages out: a browser on this machine reaches what only this machine may.
//!
//! A page of another site may send requests to a loopback address, and a name
//! that its owner points there makes the answers readable to it (DNS
//! rebinding). Whoever shows a token is believed: a stranger's page has none.

use std::net::{IpAddr, SocketAddr};

use axum::http::{header, request::Parts, uri::Authority};
use tonic::Status;

use super::problem;

/// Under which names this coordinator may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// It listens to this machine alone, so only under the names of every machine for itself.
    Local,
    /// Under any.
    Any,
}

impl Names {
    /// Returns what holds for a coordinator that listens here.
    pub(crate) fn of(listen: SocketAddr) -> Self {
        if listen.ip().is_loopback() { Self::Local } else { Self::Any }
    }

    /// Refuses what another site's page may have sent.
    pub(super) fn check(self, parts: &Parts) -> Result<(), Status> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(());
        }
        let called = called(parts);
        if self == Self::Local && !called.as_ref().is_some_and(is_local) {
            return Err(problem::foreign_origin(
                "the request names another host than localhost, although only this machine may ask",
            ));
        }
        let Some(origin) = parts.headers.get(header::ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        let origin = origin.and_then(|(_, authority)| authority.parse::<Authority>().ok());
        if origin.is_some() && origin == called {
            return Ok(());
        }
        Err(problem::foreign_origin("a page of another site sent this request"))
    }
}

/// Returns the host and port that a request was meant for.
fn called(parts: &Parts) -> Option<Authority> {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    parts.uri.authority().cloned().or_else(|| host?.parse().ok())
}

fn is_local(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn check(names: Names, host: &str, further: &[(&str, &str)]) -> bool {
        let mut request = Request::get("/api/v1/jobs").header("host", host);
        for (name, value) in further {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        names.check(&parts).is_ok()
    }

    #[test]
    fn a_name_that_anybody_can_give_is_refused_on_loopback() {
        for host in ["localhost:7070", "127.0.0.1:7070", "[::1]:7070"] {
            assert!(check(Names::Local, host, &[]), "{host}");
        }
        assert!(!check(Names::Local, "rebound.example:7070", &[]));
        assert!(check(Names::Any, "votum.example:7070", &[]));
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        let host = "127.0.0.1:7070";
        assert!(check(Names::Local, host, &[("origin", "http://127.0.0.1:7070")]));
        for origin in ["https://evil.example", "null", "http://127.0.0.1:8080"] {
            assert!(!check(Names::Local, host, &[("origin", origin)]), "{origin}");
        }
        let shown = [("origin", "https://evil.example"), ("authorization", "Bearer x")];
        assert!(check(Names::Local, host, &shown));
    }
}
