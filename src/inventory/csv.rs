//! A table with a header, as spreadsheets and asset databases export it.

use super::graph::{Graph, Origin};
use super::row::{self, Columns, Field};
use super::{Complaint, format};

/// What may stand between the cells; the one that parts the header into the most cells does.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// What to do about a header that names no host.
const HEADER: &str = "the first line names the columns: `name,address,port,user,groups`, of which only one of `name`, `host`, `hostname`, \
                      `address` and `ip` is needed";

/// Whether the first line that says something is the header of a table of hosts with more than one column.
pub(super) fn is_it(text: &str) -> bool {
    format::first_line(text).is_some_and(|line| {
        let cells: Vec<&str> = line.split(char::from(delimiter(line))).map(|cell| cell.trim().trim_matches('"')).collect();
        cells.len() > 1 && Columns::of(&cells).is_some()
    })
}

fn delimiter(header: &str) -> u8 {
    let count = |delimiter: &u8| header.bytes().filter(|byte| byte == delimiter).count();
    let mut best = b',';
    for delimiter in DELIMITERS {
        if count(&delimiter) > count(&best) {
            best = delimiter;
        }
    }
    best
}

/// Reads a table; every wrong row is a problem of its own.
pub(super) fn read(graph: &mut Graph, file: usize, text: &str) {
    let header = format::first_line(text).unwrap_or_default();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(header))
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut lines = Lines { text, at: 0, line: 1 };
    let mut columns: Option<(Columns, usize)> = None;
    let mut record = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                let line = error.position().map_or(0, |position| lines.of(position.byte()));
                return graph.problem(Origin { file, line }, Complaint::new(format!("the table can't be read: {error}")));
            }
        }
        let origin = Origin { file, line: record.position().map_or(0, |position| lines.of(position.byte())) };
        // Spreadsheets write out empty rows as nothing but delimiters.
        if record.iter().all(str::is_empty) {
            continue;
        }
        match &columns {
            None => {
                let names: Vec<&str> = record.iter().collect();
                if let Some(twice) =
                    names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)).map(|(_, name)| *name)
                {
                    return graph.problem(origin, Complaint::new(format!("two columns are called `{twice}`")).hint("rename one"));
                }
                if let Some(at) = names.iter().position(|name| name.is_empty()) {
                    return graph.problem(origin, Complaint::new(format!("column {} has no name", at + 1)).hint(HEADER));
                }
                match Columns::of(&names) {
                    Some(found) => columns = Some((found, names.len())),
                    None => {
                        let complaint = Complaint::new(format!("no column of `{}` names the host", names.join(",")));
                        return graph.problem(origin, complaint.hint(HEADER));
                    }
                }
            }
            Some((_, cells)) if record.len() != *cells => {
                let message = format!("the row has {} cells, the header {cells}", record.len());
                graph.problem(origin, Complaint::new(message).hint("put a cell that holds the delimiter in double quotes"));
            }
            Some((columns, _)) => {
                let fields = record.iter().map(|cell| Field { value: cell.into(), origin, verbatim: false });
                row::add(graph, columns, fields, origin);
            }
        }
    }
}

/// Where rows stand. The crate says where it began to look for a row, which is before the comments and empty lines in front of it.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl Lines<'_> {
    /// The line of the row that was looked for from this byte on; rows come in their order.
    fn of(&mut self, byte: u64) -> u32 {
        let start = usize::try_from(byte).unwrap_or(usize::MAX);
        let passed = self.text.get(self.at..start).unwrap_or_default().matches('\n').count();
        self.line = self.line.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        self.at = start;
        let rest = self.text.get(start..).unwrap_or_default();
        let skipped = rest.lines().take_while(|line| line.is_empty() || line.starts_with('#')).count();
        self.line.saturating_add(u32::try_from(skipped).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_told_by_its_header() {
        for text in ["name,address\n", "# x\nserial;hostname;rack\n", "\"Name\",\"Groups\"\n", "ip\tuser\n"] {
            assert!(is_it(text), "{text}");
        }
        for text in ["", "name\n", "web01,web02\n", "rack,serial\n", "name a=1,2\n"] {
            assert!(!is_it(text), "{text}");
        }
    }
}
