//! What must hold in every world, one file each: its rule of the protocol, and where it comes from.

mod ack_after_publication;
mod agreement;
mod alarms;
mod approval;
mod bytes;
mod dag_order;
mod discards;
mod effects;
mod epochs;
mod exclusion;
mod fencing;
mod in_doubt;
mod log_before_send;
mod mixed;
mod nobody_forgotten;
mod nothing_left;
mod one_decision;
mod prepared_before_yes;
mod refusals;
mod replicas;
mod requests;
mod sealed_before_told;
mod undoing;
mod validity;
mod visibility;

use super::{
    fact::{End, Fact},
    known::Known,
};

/// What an invariant says of a fact: nothing, or how it was broken.
pub(super) type Held = Result<(), String>;

/// Something that must hold whatever goes wrong.
pub(super) trait Invariant {
    /// Returns the name of its file.
    fn name(&self) -> &'static str;
    /// Returns the rule of the protocol that it checks.
    fn rule(&self) -> &'static str;
    /// Returns where the rule comes from.
    fn source(&self) -> &'static str;
    /// Looks at a fact; `known` does not have it yet.
    ///
    /// # Errors
    /// How it is broken.
    fn see(&mut self, fact: &Fact<'_>, known: &Known) -> Held;
    /// Looks at the end.
    ///
    /// # Errors
    /// How it is broken.
    fn judge(&mut self, _end: &End<'_>, _known: &Known) -> Held {
        Ok(())
    }
}

/// Says what is wrong, unless it holds.
pub(super) fn hold(holds: bool, said: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(said()) }
}

/// Returns every invariant.
pub(super) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(one_decision::OneDecision),
        Box::new(validity::Validity::default()),
        Box::new(log_before_send::LogBeforeSend),
        Box::new(prepared_before_yes::PreparedBeforeYes),
        Box::new(in_doubt::InDoubt::default()),
        Box::new(refusals::Refusals),
        Box::new(agreement::Agreement::default()),
        Box::new(visibility::Visibility),
        Box::new(bytes::Bytes),
        Box::new(ack_after_publication::AckAfterPublication),
        Box::new(nobody_forgotten::NobodyForgotten::default()),
        Box::new(discards::Discards::default()),
        Box::new(sealed_before_told::SealedBeforeTold),
        Box::new(replicas::Replicas::default()),
        Box::new(fencing::Fencing::default()),
        Box::new(exclusion::Exclusion::default()),
        Box::new(dag_order::DagOrder::default()),
        Box::new(epochs::Epochs::default()),
        Box::new(effects::Effects::default()),
        Box::new(requests::Requests::default()),
        Box::new(undoing::Undoing::default()),
        Box::new(approval::Approval::default()),
        Box::new(alarms::Alarms),
        Box::new(mixed::Mixed),
        Box::new(nothing_left::NothingLeft),
    ]
}
