//! Agentless fleet scanner over SSH: the map of the house.

pub mod advisory;
pub mod check;
pub mod cli;
pub mod command;
pub mod inventory;
pub mod journal;
pub mod local;
pub mod model;
pub mod probe;
pub mod report;
pub mod scan;
pub mod simulate;
pub mod ssh;
