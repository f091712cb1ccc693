//! The SSH engine against real servers, and against servers that misbehave.

mod certificates;
mod common;
mod engine;
mod jump;
mod keys;
mod passwords;
mod raw;
mod terminal;
