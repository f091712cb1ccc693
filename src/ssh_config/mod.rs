//! What `ssh` would do for a host: configuration files as ssh_config(5) describes them, and options as ssh(1) takes them.
//!
//! Pure but for reading files. Nothing is run unless `Match exec` was allowed.

mod settings;

pub use settings::{AgentSocket, AlgorithmList, Family, Hop, HostKeyChecking, Settings};
