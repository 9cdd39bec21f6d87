//! The HTTP API and the console on it.

mod access;
mod calls;
mod events;
mod page;
mod refusals;
mod support;
