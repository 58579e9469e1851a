//! Who calls, and what they may ask: one layer around the whole server, one table behind it.
//!
//! The layer ([`Guard`]) finds out who a caller is, looks up in [`rules`] which
//! role the call needs, and puts the [`Principal`] into the request's extensions.
//! What is in no table is refused. HTTP routes are looked up as the call that
//! they stand for, so that one table decides for both.

mod about;
mod guard;
mod layer;
mod principal;
mod rates;
mod refusal;
mod reload;
mod routes;
mod rules;
mod settings;
mod tokens;

pub(crate) use about::About;
pub(crate) use guard::Guard;
pub(crate) use layer::GuardLayer;
pub(crate) use principal::{Principal, Role};
pub(crate) use rates::Rates;
pub(crate) use reload::Reloadable;
pub(crate) use settings::{AuthSection, LimitsSection, TlsSection};
pub use settings::{ClientLimits, Protection, ProtectionArgs};
pub(crate) use tokens::Tokens;
