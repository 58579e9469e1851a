//! The worker: runs attempts, keeps what they leave invisible, and publishes what is decided.
//!
//! ```text
//! session ─► Event ─► Engine ─► Record ─► journal
//!    ▲                   └────► Action ─► Performer ─► process, shadow, transfer
//!    └── link ◄──────────────────────────────┘   └─► completions come back as events
//! ```

mod account;
mod action;
mod asks;
mod attempt;
mod attempts;
mod attendance;
mod checkpoint;
mod commit;
mod config;
mod control;
mod disk;
mod doubts;
mod dry_vote;
mod engine;
mod environment;
mod event;
mod forcing;
mod gate;
mod health;
mod holdings;
mod inputs;
mod inventory;
mod lease;
mod leftovers;
mod limits;
mod link;
mod logging;
mod metrics;
mod order;
mod outputs;
mod peer;
mod perform;
mod protection;
mod record;
mod recovery;
mod replay;
mod report_file;
mod run;
mod saved;
mod script;
mod secrets;
mod serve;
mod session;
mod shell;
mod steps;
#[cfg(test)]
mod testing;
mod tokens;
mod tools;
mod txn;
mod watch;

pub use account::{Account, AccountError};
pub use action::{Action, Resumed, SealOrder};
pub use config::{Config, ConfigError, LogFormat, SLOTS_MAX, Settings};
pub use control::AskId;
pub use doubts::{DoubtKind, DoubtNews, Learned, Teller};
pub use engine::Engine;
pub use event::{Ask, AttemptEvent, CheckpointEvent, Event, Parting, SessionNumber};
pub use forcing::{CannotForce, LocalAnswer, LocalQuestion, LocalStage, LocalTxn};
pub use logging::init as init_logging;
pub use protection::{Protection, ProtectionSettings};
pub use record::{Record, Rest};
pub use recovery::RecoveryError;
pub use replay::CorruptJob;
pub use serve::{EXIT_REMOVED, ServeError, run, serve, serve_until};
pub use txn::{TxnCommand, txn};
pub use votum_process::{SupervisorProgram, supervise};
