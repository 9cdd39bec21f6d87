//! Who may do what, over a real server.

mod cases;
mod matrix;
mod reach;
mod support;
mod users;
