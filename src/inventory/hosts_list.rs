//! A literal list of hosts on the command line: `host1,host2:2222,`.

use super::address;
use super::graph::{Graph, Origin, UNGROUPED, Variables};

/// Reads the hosts between the commas.
pub(super) fn read(graph: &mut Graph, text: &str) {
    let file = graph.text("-i");
    let origin = Origin { file, line: 0 };
    for host in text.split(',').map(str::trim).filter(|host| !host.is_empty()) {
        match address::entry(host) {
            Ok(entry) => graph.add_hosts(&entry, UNGROUPED, &Variables::new(), origin),
            Err(complaint) => graph.problem(origin, complaint),
        }
    }
}
