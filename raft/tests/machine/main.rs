//! Tests of the deterministic state machines, from outside.

mod metadata;
mod properties;
mod rig;
mod rules;
mod scripts;
