//! After the decision: effects, compensations, and cases for people.
//!
//! **The model.** When the decision on a job is durable, what is left to do is fixed: the effects
//! of that decision, and, after an abort, the compensation of every task that may have started.
//! Each of them is a *hook*. A hook is *tried* under one stable key until a try succeeds, its
//! budget is used up, or nobody can say what became of a try; then it is a *case*: only a person
//! can decide, and the case says what they may do. The decision never waits for a hook, and no
//! hook changes it.
//!
//! A hook, and what changes it (every edge but those of the first column is a record):
//!
//! | state | its turn | `Intended` | `Tried` | `Stranded` | `Resolved` |
//! |---|---|---|---|---|---|
//! | Waiting | Due, once it comes | – | Done, late | – | – |
//! | Due | Waiting, if it goes again | Running | Done, late | Parked | – |
//! | Running | – | – | Done, Due or Parked | – | – |
//! | Parked, a case | – | – | Done, late | – | Due or Closed |
//! | Done, Closed | – | – | – | – | – |
//!
//! **Durable before it may take effect.** `Intended` is forced before a worker hears of a try or
//! a request leaves (protocol.md §4), so that no restart gives a try out twice without knowing. A
//! try that a restart finds *Running* is asked for at its worker; a request that was on its way
//! came to an end that nobody knows.
//!
//! **Late truth.** A try that was given up with its worker has an unknown end. If the worker
//! returns and says that it took effect, the hook is done, unless another try has begun or a
//! person has closed it. Any other late word changes nothing.
//!
//! **Order.** An effect waits until each effect that it needs is done, or closed by a person. A
//! compensation waits for those of all possibly started tasks that follow its own, in reverse
//! topological order, and an effect at the end for every other hook; for both of these a case
//! counts as over, and so does what waits for one, so that one person's absence does not keep
//! back the rest. If that person has it tried again, what follows and has not begun waits again.
//!
//! **Saga.** A compensation is a try of its own task with a larger token, so that its worker
//! fences every earlier attempt and any that comes late; it is given out only when every attempt
//! is over. It runs even if no attempt ever began: that one may have begun is all that is known.
//!
//! Read before changing anything: Garcia-Molina, Salem, "Sagas" (SIGMOD 1987); Zhang, Nodine,
//! Bhargava, Bukhres, "Ensuring Relaxed Atomicity for Flexible Transactions in Multidatabase
//! Systems" (SIGMOD 1994) for the kinds of work.

mod action;
mod case;
mod event;
mod hook;
mod order;
mod plan;
mod record;
mod replay;
mod settlement;
mod trial;
mod view;

pub use action::{Action, Post};
pub use case::{Case, CaseCause, Evidence, Resolution};
pub use event::{Event, Facts, Host, Started, Verdict};
pub use hook::HookKind;
pub use record::Record;
pub use replay::CorruptSettlement;
pub use settlement::{Reaction, Settlement};
pub use trial::Trial;
pub use view::{HookState, HookView, TrialView};
