//! Who may do what, over a real server.

mod cases;
mod matrix;
mod support;
mod users;
