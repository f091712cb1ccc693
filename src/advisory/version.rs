//! Versions as Docker's programs and their packages write them.

use std::cmp::Ordering;
use std::fmt;

/// The comparable part of a version: three numbers, and how near a pre-release came.
///
/// Not semantic versioning: numbers have leading zeros (`19.03`), candidates are numbered without a dot (`1.0.0-rc10` comes after `-rc9`), and what distributors
/// and packages add (`+dfsg1`, `~ds1`, `-1~debian.12~bookworm`, `-0ubuntu3`, `_ce`) doesn't take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    numbers: [u64; 3],
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Development,
    Alpha(u64),
    Beta(u64),
    Candidate(u64),
    Release,
}

impl Version {
    /// Reads a version: an epoch (`5:`) and a leading `v` are skipped, two numbers are enough. `None` for what is no version.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = match text.split_once(':') {
            Some((epoch, rest)) if !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit()) => rest,
            _ => text,
        };
        let mut rest = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let mut numbers = [0; 3];
        for (at, number) in numbers.iter_mut().enumerate() {
            let digits = match at {
                0 => rest,
                _ => match rest.strip_prefix('.') {
                    Some(after) if after.starts_with(|letter: char| letter.is_ascii_digit()) => after,
                    _ if at == 2 => break,
                    _ => return None,
                },
            };
            let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
            let (digits, after) = digits.split_at(end);
            *number = digits.parse().ok()?;
            rest = after;
        }
        Some(Self { numbers, stage: Stage::of(rest)? })
    }

    /// The first two numbers, which name a line of releases.
    pub(super) fn major_minor(self) -> (u64, u64) {
        (self.numbers[0], self.numbers[1])
    }
}

impl Stage {
    /// From what follows the numbers. `None` where the number of a pre-release is beyond counting.
    fn of(rest: &str) -> Option<Self> {
        let word = rest.strip_prefix(['-', '~', '_', '.']).unwrap_or(if rest.starts_with('+') { "" } else { rest });
        for name in ["rc", "beta", "alpha", "tp", "dev"] {
            let Some(after) = word.strip_prefix(name) else { continue };
            let after = after.strip_prefix(['.', '-']).unwrap_or(after);
            let digits = after.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
            let number = if digits.is_empty() { 0 } else { digits.parse().ok()? };
            return Some(match name {
                "rc" => Self::Candidate(number),
                "beta" => Self::Beta(number),
                "alpha" => Self::Alpha(number),
                _ => Self::Development,
            });
        }
        Some(Self::Release)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then(self.stage.cmp(&other.stage))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(out, "{major}.{minor}.{patch}")?;
        match self.stage {
            Stage::Development => out.write_str("-dev"),
            Stage::Alpha(number) => write!(out, "-alpha.{number}"),
            Stage::Beta(number) => write!(out, "-beta.{number}"),
            Stage::Candidate(number) => write!(out, "-rc.{number}"),
            Stage::Release => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        Version::parse(text).map_or_else(|| "none".to_owned(), |version| version.to_string())
    }

    #[test]
    fn what_packages_and_distributors_add_does_not_take_part() {
        for (text, expected) in [
            ("29.7.2", "29.7.2"),
            ("v0.12.4", "0.12.4"),
            ("20.10.24+dfsg1", "20.10.24"),
            ("20.10.24+dfsg1-1+deb12u1", "20.10.24"),
            ("1.6.20~ds1-1+deb12u3", "1.6.20"),
            ("5:27.5.1-1~ubuntu.24.04~noble", "27.5.1"),
            ("5:28.5.2-1~debian.12~bookworm", "28.5.2"),
            ("3:28.5.2-1.el9", "28.5.2"),
            ("27.5.1-0ubuntu3~24.04.2", "27.5.1"),
            ("24.0.9_ce", "24.0.9"),
            ("19.03.13-ce", "19.3.13"),
            ("20.10.27+azure-1", "20.10.27"),
            ("25.0.14-1.amzn2023.0.1", "25.0.14"),
            ("27.3.1-r0", "27.3.1"),
            ("v1.3.3-0-gd842d771", "1.3.3"),
            ("1.1.0+dev", "1.1.0"),
            ("1.13", "1.13.0"),
            ("24.0.0-rc.1", "24.0.0-rc.1"),
            ("5:29.0.0~rc.2-1~debian.13~trixie", "29.0.0-rc.2"),
            ("1.0.0-rc93", "1.0.0-rc.93"),
            ("1.0.0-rc8+dev", "1.0.0-rc.8"),
            ("2.0.0-beta.14", "2.0.0-beta.14"),
            ("18.09.1-rc1", "18.9.1-rc.1"),
            ("dev", "none"),
            ("28", "none"),
            ("", "none"),
            ("5:", "none"),
            ("é1.2", "none"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn versions_stand_in_the_order_of_their_release() {
        let order = [
            "1.0.0-dev",
            "1.0.0-alpha.1",
            "1.0.0-beta.2",
            "1.0.0-rc2",
            "1.0.0-rc9",
            "1.0.0-rc10",
            "1.0.0-rc.93",
            "1.0.0",
            "1.0.3",
            "1.1.5+ds1",
            "1.10.0",
            "18.09.9",
            "19.03.1",
            "20.10.9",
            "20.10.24+dfsg1",
        ];
        for pair in order.windows(2) {
            assert!(Version::parse(pair[0]) < Version::parse(pair[1]), "{pair:?}");
        }
        assert_eq!(Version::parse("5:28.5.2-1.el9"), Version::parse("v28.5.2"));
    }

    proptest! {
        #[test]
        fn no_text_upsets_it(text in "\\PC*") {
            let _ = Version::parse(&text);
        }

        #[test]
        fn what_it_prints_it_reads_again(major in 0u64..99, minor in 0u64..99, patch in 0u64..99, candidate in 0u64..99) {
            for text in [format!("{major}.{minor}.{patch}"), format!("{major}.{minor}.{patch}-rc.{candidate}")] {
                prop_assert_eq!(Version::parse(&text).map(|version| version.to_string()), Some(text));
            }
        }
    }
}
