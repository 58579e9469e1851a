//! Every way into the API over HTTP, and the RPC that it stands for.
//!
//! A row is all there is to a route: what it does, who may do it and what it
//! answers are those of its RPC. A path names a resource, then what to do with
//! it; the resource becomes the `name` of the request, or its `parent`.

use axum::routing::MethodFilter;

/// One way into the API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    /// How it is asked.
    pub(crate) verb: Verb,
    /// What it is about: a collection, or the pattern of a resource's name.
    pub(crate) resource: &'static str,
    /// What to do with it; empty: to read it.
    pub(crate) deed: &'static str,
    /// The RPC that answers, as on the wire: `/{service}/{method}`.
    pub(crate) rpc: &'static str,
}

/// How a route is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Changes nothing.
    Get,
    /// May change something.
    Post,
    /// Removes something.
    Delete,
}

impl Route {
    /// Returns the pattern of its path.
    pub(crate) fn path(&self) -> String {
        match self.deed {
            "" => format!("{PREFIX}{}", self.resource),
            deed => format!("{PREFIX}{}/{deed}", self.resource),
        }
    }

    /// Returns the name of the resource that a path is about; none of a collection.
    pub(super) fn name<'a>(
        &self,
        parts: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Option<String> {
        if !self.resource.contains('{') {
            return None;
        }
        let name = parts.fold(self.resource.to_owned(), |name, (key, value)| {
            name.replace(&format!("{{{key}}}"), value)
        });
        Some(name)
    }

    fn matches(&self, verb: Verb, path: &str) -> bool {
        let pattern = self.path();
        let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
        let alike = wanted.by_ref().zip(given.by_ref());
        let alike = alike.fold(true, |alike, (wanted, given)| {
            alike && (wanted == given || wanted.starts_with('{') && !given.is_empty())
        });
        self.verb == verb && alike && pattern.split('/').count() == path.split('/').count()
    }
}

impl Verb {
    /// Returns what axum calls it.
    pub(super) fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    fn of(method: &axum::http::Method) -> Option<Self> {
        match method.as_str() {
            // A HEAD is a GET whose body is not sent.
            "GET" | "HEAD" => Some(Self::Get),
            "POST" => Some(Self::Post),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }
}

/// Returns the RPC that a request over HTTP stands for; none if it is not one of the API.
pub(crate) fn rpc_of(method: &axum::http::Method, path: &str) -> Option<&'static str> {
    let verb = Verb::of(method)?;
    ROUTES.iter().find(|route| route.matches(verb, path)).map(|route| route.rpc)
}

const fn get(resource: &'static str, deed: &'static str, rpc: &'static str) -> Route {
    Route { verb: Verb::Get, resource, deed, rpc }
}

const fn post(resource: &'static str, deed: &'static str, rpc: &'static str) -> Route {
    Route { verb: Verb::Post, resource, deed, rpc }
}

const fn delete(resource: &'static str, rpc: &'static str) -> Route {
    Route { verb: Verb::Delete, resource, deed: "", rpc }
}

/// Below this lies the API.
pub(crate) const PREFIX: &str = "/api/v1/";

/// The API over HTTP.
pub(crate) const ROUTES: &[Route] = &[
    get("jobs", "", "/votum.v1.JobService/ListJobs"),
    post("jobs", "", "/votum.v1.JobService/SubmitJob"),
    get("jobs/{job}", "", "/votum.v1.JobService/GetJob"),
    delete("jobs/{job}", "/votum.v1.JobService/DeleteJob"),
    get("jobs/{job}", "events", "/votum.v1.JobService/ListEvents"),
    // No job can be called this.
    get("jobs:watch", "", "/votum.v1.JobService/WatchJobs"),
    get("jobs/{job}", "watch", "/votum.v1.JobService/WatchJob"),
    get("jobs/{job}", "outputs", "/votum.v1.JobService/ListOutputs"),
    get("jobs/{job}/outputs/{output}", "files", "/votum.v1.JobService/ListOutputFiles"),
    get("jobs/{job}/outputs/{output}", "read", "/votum.v1.JobService/ReadOutput"),
    get("jobs/{job}", "logs", "/votum.v1.JobService/TailLogs"),
    get("jobs/{job}/tasks/{task}", "logs", "/votum.v1.JobService/TailLogs"),
    get("jobs/{job}/tasks/{task}/attempts/{attempt}", "logs", "/votum.v1.JobService/TailLogs"),
    post("jobs/{job}", "cancel", "/votum.v1.JobService/CancelJob"),
    post("jobs/{job}", "pause", "/votum.v1.JobService/PauseJob"),
    post("jobs/{job}", "unpause", "/votum.v1.JobService/UnpauseJob"),
    post("jobs/{job}", "retry", "/votum.v1.JobService/RetryJob"),
    post("jobs/{job}/tasks/{task}", "retry", "/votum.v1.JobService/RetryJob"),
    post("jobs/{job}", "rescue", "/votum.v1.JobService/RescueJob"),
    post("jobs/{job}", "revert", "/votum.v1.JobService/RevertJob"),
    post("jobs/{job}", "approve", "/votum.v1.JobService/ApproveJob"),
    post("jobs/{job}", "dry-vote", "/votum.v1.JobService/DryVoteJob"),
    get("jobs/{job}/txn", "", "/votum.v1.TxnService/GetTxn"),
    post("jobs/{job}/txn", "force", "/votum.v1.TxnService/ForceParticipant"),
    get("txns", "", "/votum.v1.TxnService/ListTxns"),
    get("cases", "", "/votum.v1.CaseService/ListCases"),
    get("cases/{subject}", "", "/votum.v1.CaseService/GetCase"),
    post("cases/{subject}", "resolve", "/votum.v1.CaseService/ResolveCase"),
    get("jobs/{job}/cases/{subject}", "", "/votum.v1.CaseService/GetCase"),
    post("jobs/{job}/cases/{subject}", "resolve", "/votum.v1.CaseService/ResolveCase"),
    get("workers", "", "/votum.v1.WorkerService/ListWorkers"),
    get("workers/{worker}", "", "/votum.v1.WorkerService/GetWorker"),
    post("workers/{worker}", "drain", "/votum.v1.WorkerService/DrainWorker"),
    post("workers/{worker}", "resume", "/votum.v1.WorkerService/ResumeWorker"),
    delete("workers/{worker}", "/votum.v1.WorkerService/DeleteWorker"),
    get("cluster", "", "/votum.v1.AdminService/GetClusterInfo"),
];

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::*;

    #[test]
    fn every_route_stands_for_a_method_that_exists() {
        for route in ROUTES {
            assert!(votum_wire::method::Method::named(route.rpc).is_some(), "{}", route.rpc);
        }
    }

    #[test]
    fn every_route_is_in_the_documents() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/page.md");
        let page = std::fs::read_to_string(page).unwrap();
        for route in ROUTES {
            let word = match route.verb {
                Verb::Get => "GET",
                Verb::Post => "POST",
                Verb::Delete => "DELETE",
            };
            let line = format!("`{word} {}`", route.path());
            let call = route.rpc.rsplit('/').next().unwrap();
            assert!(page.contains(&line) && page.contains(call), "{line} {call}");
        }
    }

    #[test]
    fn a_path_tells_its_rpc() {
        for (method, path, rpc) in [
            (Method::GET, "/api/v1/jobs/sales-7", Some("/votum.v1.JobService/GetJob")),
            (Method::HEAD, "/api/v1/jobs/sales-7", Some("/votum.v1.JobService/GetJob")),
            (Method::POST, "/api/v1/jobs/sales-7/cancel", Some("/votum.v1.JobService/CancelJob")),
            (Method::GET, "/api/v1/jobs/sales-7/cancel", None),
            (Method::GET, "/api/v1/jobs/", None),
            (Method::GET, "/", None),
        ] {
            assert_eq!(rpc_of(&method, path), rpc, "{method} {path}");
        }
    }

    #[test]
    fn a_path_names_its_resource() {
        let resource = "jobs/{job}/cases/{subject}";
        let case = ROUTES.iter().find(|route| route.resource == resource).unwrap();
        let parts = [("job", "sales-7"), ("subject", "worker:bob")];
        assert_eq!(case.name(parts.into_iter()).unwrap(), "jobs/sales-7/cases/worker:bob");
        assert_eq!(ROUTES[0].name([].into_iter()), None);
    }
}
