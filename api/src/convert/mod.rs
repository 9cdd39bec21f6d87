//! Between the types of the wire and ours. Each file converts one thing.

pub mod mark;
pub mod message;
pub mod message_id;
pub mod name;
pub mod pulled;
pub mod receipt;
pub mod route;
pub mod status;
pub mod time;
pub mod told;
pub mod waiting;
