//! Session frames on the wire.

use votum_commit::{LogPosition, Message, Reply};
use votum_ids::{Incarnation, TxnId};
use votum_job::Comeback;
use votum_proto::worker::v1 as pb;

use crate::{
    CommittedRound, CoordinatorFrame, Fault, FromCoordinator, FromWorker, Hello,
    INVENTORY_PAGE_MAX, Inventory, Malformed, Translate, Versions, Vitals,
    commit::{vote_from_proto, vote_to_proto},
    limit::{read_limits, write_limits},
    time::{duration, read_duration, read_timestamp_if_any, timestamp},
    translate::{
        Numbered as _, enumerated, numbered, parse, read, read_all, read_if_any, set, uuid,
        write_all,
    },
};

numbered!(Comeback, pb::AttemptPhase { Running = Running, Sealed = Sealed, Failed = Failed });

/// Writes a frame of a worker.
#[must_use]
pub fn request(frame: &FromWorker) -> pb::SessionRequest {
    frame.to_proto()
}

/// Reads a frame of a worker.
///
/// # Errors
/// [`Malformed`] with the path of the first field that means nothing.
pub fn from_worker(proto: pb::SessionRequest) -> Result<FromWorker, Malformed> {
    FromWorker::from_proto(proto)
}

/// Writes a frame of the coordinator.
#[must_use]
pub fn response(frame: &CoordinatorFrame) -> pb::SessionResponse {
    frame.to_proto()
}

/// Reads a frame of the coordinator.
///
/// # Errors
/// [`Malformed`] with the path of the first field that means nothing.
pub fn from_coordinator(proto: pb::SessionResponse) -> Result<CoordinatorFrame, Malformed> {
    CoordinatorFrame::from_proto(proto)
}

impl Translate for FromWorker {
    type Proto = pb::SessionRequest;

    fn to_proto(&self) -> pb::SessionRequest {
        use pb::session_request::Frame;
        let frame = match self {
            Self::Hello(hello) => Frame::Hello(hello.to_proto()),
            Self::Inventory(inventory) => Frame::Inventory(inventory.to_proto()),
            Self::InventoryEnded => Frame::InventoryEnded(pb::InventoryEnded {}),
            Self::Heartbeat { free_bytes, number, vitals } => Frame::Heartbeat(pb::Heartbeat {
                free_bytes: *free_bytes,
                number: *number,
                send_time: vitals.sent.map(timestamp),
                limits: write_limits(&vitals.limits),
            }),
            Self::Started { attempt, pid } => Frame::AttemptStarted(pb::AttemptStarted {
                attempt: Some(attempt.to_proto()),
                pid: *pid,
            }),
            Self::Reported { attempt, report, age } => {
                Frame::AttemptReported(pb::AttemptReported {
                    attempt: Some(attempt.to_proto()),
                    report: Some(report.to_proto()),
                    age: duration(*age),
                })
            }
            Self::Ended { attempt, end } => Frame::AttemptEnded(pb::AttemptEnded {
                attempt: Some(attempt.to_proto()),
                end: Some(end.to_proto()),
            }),
            Self::Discarded { attempt, comeback } => {
                Frame::AttemptDiscarded(pb::AttemptDiscarded {
                    attempt: Some(attempt.to_proto()),
                    phase: comeback.number(),
                })
            }
            Self::CheckpointHeld(held) => Frame::CheckpointHeld(held.to_proto()),
            Self::CheckpointGone(id) => Frame::CheckpointGone(id.to_proto()),
            Self::DryVoted(answer) => Frame::DryVoteAnswer(answer.to_proto()),
            Self::Commit(Reply::Voted { txn, vote }) => Frame::Voted(vote_to_proto(txn, vote)),
            Self::Commit(Reply::Acked { txn }) => {
                Frame::Acked(pb::Acknowledgement { txn_id: txn.to_string() })
            }
            Self::Commit(Reply::Inquired { txn, committed }) => {
                Frame::Inquired(pb::Inquiry { txn_id: txn.to_string(), committed: *committed })
            }
            Self::Commit(Reply::TookOver { txn, number }) => Frame::TookOver(taken(txn, *number)),
            Self::Commit(Reply::Declined { txn, number }) => Frame::Declined(taken(txn, *number)),
            Self::Commit(Reply::StoodDown { txn, number }) => Frame::StoodDown(taken(txn, *number)),
            Self::Commit(Reply::Forced(heuristic)) => Frame::Forced(heuristic.to_proto()),
            Self::Goodbye => Frame::Goodbye(pb::Goodbye {}),
        };
        pb::SessionRequest { frame: Some(frame) }
    }

    fn from_proto(proto: pb::SessionRequest) -> Result<Self, Malformed> {
        use pb::session_request::Frame;
        Ok(match set("frame", proto.frame)? {
            Frame::Hello(hello) => Self::Hello(read("hello", Some(hello))?),
            Frame::Inventory(page) => Self::Inventory(read("inventory", Some(page))?),
            Frame::InventoryEnded(pb::InventoryEnded {}) => Self::InventoryEnded,
            Frame::Heartbeat(beat) => Self::Heartbeat {
                free_bytes: beat.free_bytes,
                number: beat.number,
                vitals: Vitals {
                    sent: read_timestamp_if_any("heartbeat.send_time", beat.send_time)?,
                    limits: read_limits(&beat.limits),
                },
            },
            Frame::AttemptStarted(started) => Self::Started {
                attempt: read("attempt_started.attempt", started.attempt)?,
                pid: started.pid,
            },
            Frame::AttemptReported(reported) => Self::Reported {
                attempt: read("attempt_reported.attempt", reported.attempt)?,
                report: Box::new(read("attempt_reported.report", reported.report)?),
                age: read_duration("attempt_reported.age", reported.age)?,
            },
            Frame::AttemptEnded(ended) => Self::Ended {
                attempt: read("attempt_ended.attempt", ended.attempt)?,
                end: read("attempt_ended.end", ended.end)?,
            },
            Frame::AttemptDiscarded(discarded) => Self::Discarded {
                attempt: read("attempt_discarded.attempt", discarded.attempt)?,
                comeback: enumerated("attempt_discarded.phase", discarded.phase)?,
            },
            Frame::CheckpointHeld(held) => {
                Self::CheckpointHeld(read("checkpoint_held", Some(held))?)
            }
            Frame::CheckpointGone(id) => Self::CheckpointGone(read("checkpoint_gone", Some(id))?),
            Frame::DryVoteAnswer(answer) => {
                Self::DryVoted(Box::new(read("dry_vote_answer", Some(answer))?))
            }
            Frame::Voted(cast) => {
                let (txn, vote) =
                    vote_from_proto(cast).map_err(|malformed| malformed.below("voted"))?;
                Self::Commit(Reply::Voted { txn, vote })
            }
            Frame::Acked(acked) => {
                Self::Commit(Reply::Acked { txn: parse("acked.txn_id", &acked.txn_id)? })
            }
            Frame::Inquired(pb::Inquiry { txn_id, committed }) => {
                Self::Commit(Reply::Inquired { txn: parse("inquired.txn_id", &txn_id)?, committed })
            }
            Frame::TookOver(pb::Taken { txn_id, number }) => {
                Self::Commit(Reply::TookOver { txn: parse("took_over.txn_id", &txn_id)?, number })
            }
            Frame::Declined(pb::Taken { txn_id, number }) => {
                Self::Commit(Reply::Declined { txn: parse("declined.txn_id", &txn_id)?, number })
            }
            Frame::Forced(heuristic) => {
                Self::Commit(Reply::Forced(read("forced", Some(heuristic))?))
            }
            Frame::StoodDown(pb::Taken { txn_id, number }) => {
                Self::Commit(Reply::StoodDown { txn: parse("stood_down.txn_id", &txn_id)?, number })
            }
            Frame::Goodbye(pb::Goodbye {}) => Self::Goodbye,
        })
    }
}

impl Translate for Hello {
    type Proto = pb::Hello;

    fn to_proto(&self) -> pb::Hello {
        let (protocol_min, protocol_max) = self.protocols.ends();
        pb::Hello {
            protocol_min,
            protocol_max,
            installation: Some(self.installation.to_proto()),
            incarnation: self.incarnation.to_string(),
            version: self.version.clone(),
            labels: self.labels.clone(),
            slots: self.slots,
            artifact_address: self.artifact_address.clone(),
            publish_roots: self.publish_roots.clone(),
            seen: self.seen.as_ref().map(LogPosition::to_proto),
        }
    }

    fn from_proto(proto: pb::Hello) -> Result<Self, Malformed> {
        Ok(Self {
            installation: read("installation", proto.installation)?,
            incarnation: Incarnation(uuid("incarnation", &proto.incarnation)?),
            version: proto.version,
            labels: proto.labels,
            slots: proto.slots,
            artifact_address: proto.artifact_address,
            publish_roots: proto.publish_roots,
            seen: read_if_any("seen", proto.seen)?,
            protocols: Versions::read(proto.protocol_min, proto.protocol_max)?,
        })
    }
}

impl Translate for Inventory {
    type Proto = pb::Inventory;

    fn to_proto(&self) -> pb::Inventory {
        pb::Inventory {
            attempts: write_all(&self.attempts),
            prepared_txn_ids: self.prepared.iter().map(TxnId::to_string).collect(),
            committed_rounds: write_all(&self.committed),
            checkpoints: write_all(&self.checkpoints),
            unreadable_jobs: write_all(&self.unreadable),
        }
    }

    fn from_proto(proto: pb::Inventory) -> Result<Self, Malformed> {
        let count = proto.attempts.len()
            + proto.prepared_txn_ids.len()
            + proto.committed_rounds.len()
            + proto.checkpoints.len()
            + proto.unreadable_jobs.len();
        if count > INVENTORY_PAGE_MAX {
            return Err(Malformed::new("", Fault::TooMany { count, limit: INVENTORY_PAGE_MAX }));
        }
        let round = |(i, text): (usize, &String)| parse(&format!("prepared_txn_ids[{i}]"), text);
        Ok(Self {
            attempts: read_all("attempts", proto.attempts)?,
            prepared: proto
                .prepared_txn_ids
                .iter()
                .enumerate()
                .map(round)
                .collect::<Result<_, _>>()?,
            committed: read_all("committed_rounds", proto.committed_rounds)?,
            checkpoints: read_all("checkpoints", proto.checkpoints)?,
            unreadable: read_all("unreadable_jobs", proto.unreadable_jobs)?,
        })
    }
}

impl Translate for CommittedRound {
    type Proto = pb::CommittedRound;

    fn to_proto(&self) -> pb::CommittedRound {
        pb::CommittedRound { txn_id: self.txn.to_string(), pledges: write_all(&self.pledges) }
    }

    fn from_proto(proto: pb::CommittedRound) -> Result<Self, Malformed> {
        Ok(Self {
            txn: parse("txn_id", &proto.txn_id)?,
            pledges: read_all("pledges", proto.pledges)?,
        })
    }
}

impl Translate for CoordinatorFrame {
    type Proto = pb::SessionResponse;

    fn to_proto(&self) -> pb::SessionResponse {
        pb::SessionResponse {
            log: Some(self.log.to_proto()),
            frame: Some(body_to_proto(&self.body)),
        }
    }

    fn from_proto(proto: pb::SessionResponse) -> Result<Self, Malformed> {
        Ok(Self {
            log: read("log", proto.log)?,
            body: body_from_proto(set("frame", proto.frame)?)?,
        })
    }
}

fn body_to_proto(body: &FromCoordinator) -> pb::session_response::Frame {
    use pb::session_response::Frame;
    match body {
        FromCoordinator::Welcome { lease, heartbeat_interval, stop_grace, protocol, newest } => {
            Frame::Welcome(pb::Welcome {
                lease: duration(*lease),
                heartbeat_interval: duration(*heartbeat_interval),
                stop_grace: duration(*stop_grace),
                protocol: *protocol,
                protocol_max: *newest,
            })
        }
        FromCoordinator::HeartbeatAcknowledged { number } => {
            Frame::AcknowledgeHeartbeat(pb::AcknowledgeHeartbeat { number: *number })
        }
        FromCoordinator::Start(assignment) => Frame::StartAttempt(assignment.to_proto()),
        FromCoordinator::Stop { attempt, grace, reason, checkpoint_first } => {
            Frame::StopAttempt(pb::StopAttempt {
                attempt: Some(attempt.to_proto()),
                grace_period: duration(*grace),
                reason: reason.clone(),
                checkpoint_first: *checkpoint_first,
            })
        }
        FromCoordinator::Acknowledged { attempt } => {
            Frame::AcknowledgeAttempt(pb::AcknowledgeAttempt { attempt: Some(attempt.to_proto()) })
        }
        FromCoordinator::Discard { attempt } => {
            Frame::DiscardAttempt(pb::DiscardAttempt { attempt: Some(attempt.to_proto()) })
        }
        FromCoordinator::Replicate(point) => Frame::ReplicateCheckpoint(point.to_proto()),
        FromCoordinator::DryVote(request) => Frame::AskDryVote(request.to_proto()),
        FromCoordinator::Commit(message) => message_to_proto(message),
    }
}

fn message_to_proto(message: &Message) -> pb::session_response::Frame {
    use pb::session_response::Frame;
    match message {
        Message::Prepare { txn, holder, pledges, peers } => Frame::Prepare(pb::Prepare {
            txn_id: txn.to_string(),
            holder: Some(holder.to_proto()),
            pledges: write_all(pledges),
            peers: write_all(peers),
        }),
        Message::Commit { txn, holder, pledges } => Frame::Commit(pb::Commit {
            txn_id: txn.to_string(),
            holder: Some(holder.to_proto()),
            pledges: write_all(pledges),
        }),
        Message::TakeOver { txn, holder, number, pledges } => Frame::TakeOver(pb::TakeOver {
            txn_id: txn.to_string(),
            holder: Some(holder.to_proto()),
            number: *number,
            pledges: write_all(pledges),
        }),
        Message::Replaced { txn, holder, number } => Frame::Replaced(pb::Replaced {
            txn_id: txn.to_string(),
            holder: Some(holder.to_proto()),
            number: *number,
        }),
        Message::Abort { job } => Frame::Abort(pb::Abort { job_id: job.to_string() }),
        Message::Undecided { txn } => Frame::Undecided(pb::Undecided { txn_id: txn.to_string() }),
        Message::RoundEnded { txn } => {
            Frame::RoundEnded(pb::RoundEnded { txn_id: txn.to_string() })
        }
        Message::Noted { txn } => Frame::Noted(pb::Noted { txn_id: txn.to_string() }),
        Message::Release { job } => Frame::Release(pb::Release { job_id: job.to_string() }),
    }
}

fn body_from_proto(frame: pb::session_response::Frame) -> Result<FromCoordinator, Malformed> {
    use pb::session_response::Frame;
    Ok(match frame {
        Frame::Welcome(welcome) => FromCoordinator::Welcome {
            lease: read_duration("welcome.lease", welcome.lease)?,
            heartbeat_interval: read_duration(
                "welcome.heartbeat_interval",
                welcome.heartbeat_interval,
            )?,
            stop_grace: read_duration("welcome.stop_grace", welcome.stop_grace)?,
            protocol: welcome.protocol.max(1),
            newest: welcome.protocol_max.max(1),
        },
        Frame::AcknowledgeHeartbeat(acknowledge) => {
            FromCoordinator::HeartbeatAcknowledged { number: acknowledge.number }
        }
        Frame::StartAttempt(assignment) => {
            FromCoordinator::Start(Box::new(read("start_attempt", Some(assignment))?))
        }
        Frame::StopAttempt(stop) => FromCoordinator::Stop {
            attempt: read("stop_attempt.attempt", stop.attempt)?,
            grace: read_duration("stop_attempt.grace_period", stop.grace_period)?,
            reason: stop.reason,
            checkpoint_first: stop.checkpoint_first,
        },
        Frame::AcknowledgeAttempt(acknowledge) => FromCoordinator::Acknowledged {
            attempt: read("acknowledge_attempt.attempt", acknowledge.attempt)?,
        },
        Frame::DiscardAttempt(discard) => {
            FromCoordinator::Discard { attempt: read("discard_attempt.attempt", discard.attempt)? }
        }
        Frame::ReplicateCheckpoint(point) => {
            FromCoordinator::Replicate(Box::new(read("replicate_checkpoint", Some(point))?))
        }
        Frame::AskDryVote(request) => {
            FromCoordinator::DryVote(Box::new(read("ask_dry_vote", Some(request))?))
        }
        Frame::Prepare(prepare) => {
            FromCoordinator::Commit(read_prepare(prepare).map_err(|m| m.below("prepare"))?)
        }
        Frame::Commit(commit) => {
            FromCoordinator::Commit(read_commit(commit).map_err(|m| m.below("commit"))?)
        }
        Frame::TakeOver(order) => FromCoordinator::Commit(Message::TakeOver {
            txn: parse("take_over.txn_id", &order.txn_id)?,
            holder: read("take_over.holder", order.holder)?,
            number: order.number,
            pledges: read_all("take_over.pledges", order.pledges)?,
        }),
        Frame::Replaced(word) => FromCoordinator::Commit(Message::Replaced {
            txn: parse("replaced.txn_id", &word.txn_id)?,
            holder: read("replaced.holder", word.holder)?,
            number: word.number,
        }),
        Frame::Abort(abort) => {
            FromCoordinator::Commit(Message::Abort { job: parse("abort.job_id", &abort.job_id)? })
        }
        Frame::Undecided(undecided) => FromCoordinator::Commit(Message::Undecided {
            txn: parse("undecided.txn_id", &undecided.txn_id)?,
        }),
        Frame::RoundEnded(ended) => FromCoordinator::Commit(Message::RoundEnded {
            txn: parse("round_ended.txn_id", &ended.txn_id)?,
        }),
        Frame::Noted(noted) => {
            FromCoordinator::Commit(Message::Noted { txn: parse("noted.txn_id", &noted.txn_id)? })
        }
        Frame::Release(release) => FromCoordinator::Commit(Message::Release {
            job: parse("release.job_id", &release.job_id)?,
        }),
    })
}

fn read_prepare(proto: pb::Prepare) -> Result<Message, Malformed> {
    Ok(Message::Prepare {
        txn: parse("txn_id", &proto.txn_id)?,
        holder: read("holder", proto.holder)?,
        pledges: read_all("pledges", proto.pledges)?,
        peers: read_all("peers", proto.peers)?,
    })
}

fn read_commit(proto: pb::Commit) -> Result<Message, Malformed> {
    Ok(Message::Commit {
        txn: parse("txn_id", &proto.txn_id)?,
        holder: read("holder", proto.holder)?,
        pledges: read_all("pledges", proto.pledges)?,
    })
}

fn taken(txn: &TxnId, number: u64) -> pb::Taken {
    pb::Taken { txn_id: txn.to_string(), number }
}

/// Largest frame that either side accepts: a Prepare of the largest job fits, and an inventory
/// page of ordinary ones.
pub const FRAME_BYTES_MAX: usize = 16 << 20;
