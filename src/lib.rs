//! Agentless fleet scanner over SSH: the map of the house.
//!
//! An inventory names hosts. Each host is asked once, over one connection, by one POSIX script of read-only commands; the answers become facts; checks, which
//! are data, judge the facts; and the findings of all hosts become one report.
//!
//! ```text
//! cli         arguments as typed -> options as needed, exit status
//! inventory   files and patterns -> hosts
//! check       packs of YAML and CEL -> what must be known; facts -> findings
//! probe       facts wanted -> the least plan of steps; answers -> facts
//! command     the only list of what can run on a host
//! ssh_config  what `ssh` would do for a host, from its configuration
//! ssh, local  one script on one host, each phase bounded in time, all of it in bytes
//! scan        many hosts at once: a row for each, whatever happens
//! journal     finished hosts on disk, read in the order of the inventory
//! report      totals and journal -> terminal, JSON, CSV
//! advisory    known vulnerabilities of container engines
//! simulate    a fleet of SSH servers in this process, for demo, tests and benchmarks
//! model       the nouns that all of them share
//! ```
//!
//! Who may use whom is a table in `tests/layers.rs`.

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
pub mod ssh_config;
