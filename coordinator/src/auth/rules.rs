//! The one table from a call to the role that it needs. What is not in it nobody may.

use super::Role::{self, Operator, Submitter, Viewer, Worker};

/// What a call needs, and whether it changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The call as it stands in a gRPC path, such as `/votum.v1.JobService/GetJob`.
    pub(crate) rpc: &'static str,
    /// The role that it needs; none: it says nothing that is not public.
    pub(crate) role: Option<Role>,
    /// Whether it only looks or also changes something.
    pub(crate) kind: Kind,
}

/// Whether a call only looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Changes nothing.
    Looks,
    /// Changes something, or may.
    Changes,
}

/// Finds the rule of a call.
pub(crate) fn rule(rpc: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.rpc == rpc)
}

const fn public(rpc: &'static str) -> Rule {
    Rule { rpc, role: None, kind: Kind::Looks }
}

const fn looks(rpc: &'static str) -> Rule {
    Rule { rpc, role: Some(Viewer), kind: Kind::Looks }
}

const fn changes(rpc: &'static str, role: Role) -> Rule {
    Rule { rpc, role: Some(role), kind: Kind::Changes }
}

const RULES: &[Rule] = &[
    changes("/votum.v1.JobService/SubmitJob", Submitter),
    looks("/votum.v1.JobService/GetJob"),
    looks("/votum.v1.JobService/ListJobs"),
    looks("/votum.v1.JobService/WatchJob"),
    changes("/votum.v1.JobService/CancelJob", Submitter),
    changes("/votum.v1.JobService/PauseJob", Submitter),
    changes("/votum.v1.JobService/UnpauseJob", Submitter),
    changes("/votum.v1.JobService/RetryJob", Submitter),
    changes("/votum.v1.JobService/RescueJob", Submitter),
    changes("/votum.v1.JobService/RevertJob", Submitter),
    // Whoever hands a job in does not also approve it.
    changes("/votum.v1.JobService/ApproveJob", Operator),
    changes("/votum.v1.JobService/DryVoteJob", Submitter),
    looks("/votum.v1.JobService/TailLogs"),
    looks("/votum.v1.JobService/WatchJobs"),
    looks("/votum.v1.JobService/ListEvents"),
    looks("/votum.v1.JobService/ListOutputs"),
    looks("/votum.v1.JobService/ListOutputFiles"),
    // It changes nothing, but who took content out is worth a line.
    changes("/votum.v1.JobService/ReadOutput", Submitter),
    // It takes a job's history from everybody.
    changes("/votum.v1.JobService/DeleteJob", Operator),
    looks("/votum.v1.TxnService/ListTxns"),
    looks("/votum.v1.TxnService/GetTxn"),
    changes("/votum.v1.TxnService/ForceParticipant", Operator),
    looks("/votum.v1.CaseService/ListCases"),
    looks("/votum.v1.CaseService/GetCase"),
    changes("/votum.v1.CaseService/ResolveCase", Operator),
    looks("/votum.v1.WorkerService/ListWorkers"),
    looks("/votum.v1.WorkerService/GetWorker"),
    changes("/votum.v1.WorkerService/DrainWorker", Operator),
    changes("/votum.v1.WorkerService/ResumeWorker", Operator),
    changes("/votum.v1.WorkerService/DeleteWorker", Operator),
    looks("/votum.v1.AdminService/GetClusterInfo"),
    // It changes nothing, but has every job's text in it.
    changes("/votum.v1.AdminService/BackupStore", Operator),
    // A worker's session says what is there; who changed what is in the journal.
    Rule { rpc: "/votum.worker.v1.SessionService/Session", role: Some(Worker), kind: Kind::Looks },
    public("/grpc.health.v1.Health/Check"),
    public("/grpc.health.v1.Health/List"),
    public("/grpc.health.v1.Health/Watch"),
    looks("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    looks("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;

    use super::*;

    #[test]
    fn every_call_of_the_descriptors_has_a_rule() {
        let missing: Vec<String> =
            described().into_iter().filter(|rpc| rule(rpc).is_none()).collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn every_rule_is_about_a_call_that_exists() {
        let described = described();
        let ours = RULES.iter().map(|rule| rule.rpc).filter(|rpc| rpc.starts_with("/votum."));
        let unknown: Vec<&str> = ours.filter(|rpc| !described.contains(*rpc)).collect();
        assert_eq!(unknown, [""; 0]);
    }

    #[test]
    fn whoever_only_looks_needs_no_more_than_a_viewer() {
        for rule in RULES {
            let needs = (rule.kind, rule.role);
            let fits = match needs {
                (Kind::Looks, None | Some(Viewer | Worker)) => true,
                (Kind::Changes, Some(role)) => role != Viewer && role != Worker,
                (Kind::Looks, Some(Submitter | Operator)) | (Kind::Changes, None) => false,
            };
            assert!(fits, "{rule:?}");
        }
    }

    /// Returns every call that the coordinator serves.
    fn described() -> BTreeSet<String> {
        let set = prost_types::FileDescriptorSet::decode(votum_proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut calls = BTreeSet::new();
        for file in &set.file {
            for service in &file.service {
                let service_name = format!("{}.{}", file.package(), service.name());
                if SERVED_BY_WORKERS.contains(&service_name.as_str()) {
                    continue;
                }
                let full = |method: &str| format!("/{service_name}/{method}");
                calls.extend(service.method.iter().map(|method| full(method.name())));
            }
        }
        assert!(calls.len() > 20, "{calls:?}");
        calls
    }

    const SERVED_BY_WORKERS: [&str; 2] =
        ["votum.worker.v1.PeerService", "votum.worker.v1.ArtifactService"];
}
