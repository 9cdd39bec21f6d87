//! Tests of the deterministic state machines, from outside.

mod access;
mod lite;
mod lookup;
mod metadata;
mod properties;
mod retention;
mod rig;
mod rules;
mod scripts;
mod spread;
mod spread_order;
mod steps;
mod waiting;
mod witness;
