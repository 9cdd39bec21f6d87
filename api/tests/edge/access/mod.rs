//! Who may do what, over a real server.

mod cases;
mod matrix;
mod reach;
pub mod support;
mod users;
