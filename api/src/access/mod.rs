//! Who calls, and whether that may be done.
//!
//! Every request passes the [`gate`], which compares what it demands ([`demands`]) with the rules of its user. Clients
//! sign each request with the secret of their access key ([`signature`]); secrets lie sealed in `meta` ([`seal`]).

pub mod certificate;
pub mod demand;
pub mod demands;
pub mod first;
pub mod gate;
pub mod proof;
pub mod seal;
pub mod secret;
pub mod signature;
