//! The development cluster: where it lies, its processes, and the job it is shown with.

pub(crate) mod cluster;
pub(crate) mod demo;
pub(crate) mod layout;
pub(crate) mod member;
pub(crate) mod pki;
pub(crate) mod readiness;
