//! Ranges of host names: `web[01:50:2]`, `db-[a:f]`, several in one name.

use super::{Complaint, MOST_HOSTS};

/// The letters of a range in their order, as Ansible counts them.
const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The names that a pattern stands for: at least one, at most [`MOST_HOSTS`], none of them made yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    parts: Vec<Part>,
    count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Numbers { first: u64, step: u64, count: u64, width: usize },
    Letters { first: usize, step: usize, count: u64 },
}

impl Part {
    fn count(&self) -> u64 {
        match self {
            Self::Text(_) => 1,
            Self::Numbers { count, .. } | Self::Letters { count, .. } => *count,
        }
    }

    fn nth(&self, at: u64) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Numbers { first, step, width, .. } => format!("{:0width$}", first + step * at),
            Self::Letters { first, step, .. } => {
                let place = usize::try_from(at).map_or(0, |at| first + step * at);
                LETTERS.get(place).map_or_else(String::new, |letter| char::from(*letter).to_string())
            }
        }
    }
}

impl Names {
    /// Just this one.
    pub(super) fn one(name: &str) -> Self {
        Self { parts: vec![Part::Text(name.to_owned())], count: 1 }
    }

    /// How many.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Every name; the last range turns fastest.
    pub(super) fn iter(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.count).map(|at| self.nth(at))
    }

    fn nth(&self, mut at: u64) -> String {
        let mut pieces: Vec<String> = Vec::with_capacity(self.parts.len());
        for part in self.parts.iter().rev() {
            pieces.push(part.nth(at % part.count()));
            at /= part.count();
        }
        pieces.reverse();
        pieces.concat()
    }
}

/// Reads a host name with any number of ranges.
pub(super) fn parse(pattern: &str) -> Result<Names, Complaint> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some((head, tail)) = rest.split_once('[') {
        let (inside, after) =
            tail.split_once(']').ok_or_else(|| Complaint::new(format!("the range in `{pattern}` has no closing bracket")))?;
        text(&mut parts, head, pattern)?;
        parts.push(range(inside).map_err(|complaint| Complaint {
            message: format!("range `[{inside}]` of `{pattern}` {}", complaint.message),
            ..complaint
        })?);
        rest = after;
    }
    text(&mut parts, rest, pattern)?;
    let count = parts.iter().try_fold(1_u64, |product, part| product.checked_mul(part.count()));
    match count {
        Some(count) if count <= MOST_HOSTS => Ok(Names { parts, count }),
        _ => Err(Complaint::new(format!("`{pattern}` stands for more than {MOST_HOSTS} hosts")).hint("narrow the range")),
    }
}

fn text(parts: &mut Vec<Part>, text: &str, pattern: &str) -> Result<(), Complaint> {
    if text.contains(']') {
        return Err(Complaint::new(format!("`{pattern}` has a closing bracket without an opening one")));
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(())
}

/// What stands between the brackets: `begin:end` or `begin:end:step`; both ends belong to the range.
fn range(inside: &str) -> Result<Part, Complaint> {
    const SHAPE: &str = "write [begin:end] or [begin:end:step], such as [01:20] or [a:f]";
    let bounds: Vec<&str> = inside.split(':').collect();
    let (begin, end, step) = match bounds.as_slice() {
        [begin, end] => (*begin, *end, 1),
        [begin, end, step] => {
            let step = step.parse::<u64>().ok().filter(|step| *step > 0);
            let step = step.ok_or_else(|| Complaint::new("has a step that is not a whole number above 0").hint(SHAPE))?;
            (*begin, *end, step)
        }
        _ => return Err(Complaint::new("is not a begin and an end").hint(SHAPE)),
    };
    if end.is_empty() {
        return Err(Complaint::new("has no end").hint(SHAPE));
    }
    match (letter(begin), letter(end)) {
        (Some(first), Some(last)) if first <= last => {
            let step = usize::try_from(step).unwrap_or(LETTERS.len());
            Ok(Part::Letters { first, step, count: ((last - first) / step + 1) as u64 })
        }
        (Some(_), Some(_)) => Err(Complaint::new("ends before it begins").hint("letters go from a to z, then from A to Z")),
        _ => numbers(if begin.is_empty() { "0" } else { begin }, end, step),
    }
}

fn letter(bound: &str) -> Option<usize> {
    match bound.as_bytes() {
        [byte] => LETTERS.iter().position(|letter| letter == byte),
        _ => None,
    }
}

fn numbers(begin: &str, end: &str, step: u64) -> Result<Part, Complaint> {
    let number = |bound: &str| match bound.bytes().all(|byte| byte.is_ascii_digit()) {
        true => bound.parse::<u64>().ok(),
        false => None,
    };
    let (Some(first), Some(last)) = (number(begin), number(end)) else {
        return Err(Complaint::new("runs neither between two numbers nor between two letters").hint("such as [01:20] or [a:f]"));
    };
    // A leading zero fixes the width of every number of the range.
    let padded = begin.len() > 1 && begin.starts_with('0');
    if padded && begin.len() != end.len() {
        return Err(Complaint::new("begins and ends with numbers of unequal width")
            .hint(format!("write the end with {} digits as well", begin.len())));
    }
    if last < first {
        return Err(Complaint::new("ends before it begins").hint(format!("[{end}:{begin}]")));
    }
    let count = ((last - first) / step).saturating_add(1);
    Ok(Part::Numbers { first, step, count, width: if padded { begin.len() } else { 0 } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pattern: &str) -> Vec<String> {
        parse(pattern).unwrap().iter().collect()
    }

    fn refused(pattern: &str) -> String {
        parse(pattern).unwrap_err().message
    }

    #[test]
    fn a_leading_zero_fixes_the_width_and_a_step_skips() {
        assert_eq!(
            names("web[01:10:3].example.com"),
            ["web01.example.com", "web04.example.com", "web07.example.com", "web10.example.com"]
        );
        assert_eq!(names("n[8:11]"), ["n8", "n9", "n10", "n11"]);
        assert_eq!(names("n[:2]"), ["n0", "n1", "n2"]);
        assert_eq!(names("n[1:010]").len(), 10);
    }

    #[test]
    fn letters_run_through_lower_then_upper_case() {
        assert_eq!(names("db-[a:e:2]"), ["db-a", "db-c", "db-e"]);
        assert_eq!(names("[y:B]"), ["y", "z", "A", "B"]);
    }

    #[test]
    fn several_ranges_multiply_and_the_last_turns_fastest() {
        assert_eq!(names("r[1:2]n[a:b]"), ["r1na", "r1nb", "r2na", "r2nb"]);
    }

    #[test]
    fn a_range_without_sense_says_what_is_wrong() {
        assert!(refused("web[5:1]").contains("ends before it begins"));
        assert!(refused("web[f:a]").contains("ends before it begins"));
        assert!(refused("web[01:100]").contains("unequal width"));
        assert!(refused("web[1:]").contains("has no end"));
        assert!(refused("web[1:4:0]").contains("step"));
        assert!(refused("web[1]").contains("begin and an end"));
        assert!(refused("web[a:5]").contains("neither between two numbers"));
        assert!(refused("web[aa:bb]").contains("neither between two numbers"));
        assert!(refused("web[+1:5]").contains("neither between two numbers"));
        assert!(refused("web[1:5").contains("no closing bracket"));
        assert!(refused("web1:5]").contains("without an opening"));
    }

    #[test]
    fn a_range_too_long_to_be_meant_is_refused_and_not_made() {
        assert_eq!(parse("n[1:1000000]").unwrap().count(), 1_000_000);
        assert!(refused("n[0:1000000]").contains("more than 1000000 hosts"));
        assert!(refused("[1:99999][1:99999][1:99999][1:99999][1:99999]").contains("more than"));
        assert!(refused("n[0:18446744073709551615]").contains("more than"));
        assert!(refused("n[0:18446744073709551616]").contains("neither between two numbers"));
    }
}
