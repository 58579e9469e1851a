//! What a request asks for: a call of gRPC, a route that stands for one, or a page.

use axum::http::Method;

use crate::http::rpc_of;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    /// A call, by its full name; refusals are told in gRPC.
    Grpc(&'a str),
    /// A route of the JSON API, by the call that it stands for; refusals are told in JSON.
    Json(&'a str),
    /// A part of the page, or a sign of life: it says nothing that is not public.
    Page,
}

/// Says what a request asks for; a route of the API that is not known stands for itself, which is
/// no call.
pub(crate) fn wanted<'a>(method: &Method, path: &'a str) -> Wanted<'a> {
    if is_call(path) {
        return Wanted::Grpc(path);
    }
    match path {
        METRICS => Wanted::Json(CLUSTER_INFO),
        path if path.starts_with(API) => Wanted::Json(rpc_of(method, path).unwrap_or(path)),
        _page => Wanted::Page,
    }
}

/// Calls name a service with its package, which a page's path does not.
fn is_call(path: &str) -> bool {
    ["/votum.", "/grpc."].iter().any(|prefix| path.starts_with(prefix))
}

/// Below this lie the routes of the JSON API.
const API: &str = "/api/";
/// Figures about jobs and workers, for whoever may look at both.
const METRICS: &str = "/metrics";
const CLUSTER_INFO: &str = "/votum.v1.AdminService/GetClusterInfo";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::rules::rule;

    #[test]
    fn an_unknown_route_of_the_api_stands_for_no_call() {
        for path in ["/api/", "/api/v1/", "/api/v1/jobs/a/burn", "/api/v2/jobs"] {
            let Wanted::Json(rpc) = wanted(&Method::GET, path) else { panic!("{path}") };
            assert_eq!(rule(rpc), None, "{path}");
        }
    }

    #[test]
    fn a_route_stands_for_its_call() {
        let cancel = wanted(&Method::POST, "/api/v1/jobs/nightly-a/cancel");
        assert_eq!(cancel, Wanted::Json("/votum.v1.JobService/CancelJob"));
    }

    #[test]
    fn the_page_itself_is_public() {
        for path in ["/", "/assets/app.js", "/jobs/nightly-a", "/healthz"] {
            assert_eq!(wanted(&Method::GET, path), Wanted::Page, "{path}");
        }
    }
}
