//! The SSH engine against real servers, and against servers that misbehave.

mod certificates;
mod common;
mod doctor;
mod engine;
mod host_keys;
mod host_keys_command;
mod jump;
mod keys;
mod passwords;
mod raw;
mod signatures;
mod terminal;
