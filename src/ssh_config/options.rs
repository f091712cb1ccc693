//! Options as ssh(1) takes them on its command line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keywords::Setting;
use super::lexer;
use super::line::{Line, Meaning, meaning};
use super::problem::{Complaint, ConfigErrors, Origin};
use super::value::{self, Kind, Value};
use super::{Hop, hop};

/// Which configuration files are read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Files {
    /// `~/.ssh/config` and the system's file, each where it exists.
    #[default]
    Usual,
    /// This one alone, which must be there.
    Only(PathBuf),
    /// None at all.
    None,
}

impl Files {
    /// What an argument of `-F` means.
    pub fn from_argument(argument: &str) -> Self {
        if argument.eq_ignore_ascii_case("none") { Self::None } else { Self::Only(PathBuf::from(argument)) }
    }

    /// The file that was named.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Only(path) => Some(path),
            Self::Usual | Self::None => None,
        }
    }
}

/// What the options of one command line say. They come before every file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    pub(super) lines: Vec<Line>,
    pub(super) ignored: Option<String>,
    files: Option<Files>,
}

/// What an option of ssh(1) is to us.
enum Meant {
    /// As if this keyword stood there. Said twice, the first counts.
    First(Setting, Kind),
    /// The last counts, even after `-o`.
    Last(Setting, Kind),
    /// Without an argument, and the last counts.
    Family(&'static str),
    Line,
    Files,
    /// Nothing to a scan. With an argument?
    Ignored(bool),
    /// It makes `ssh` do something else than connect.
    Refused,
}

/// The table of getopt(3) in ssh(1).
fn meant(letter: char) -> Option<Meant> {
    Some(match letter {
        '4' => Meant::Family("inet"),
        '6' => Meant::Family("inet6"),
        'b' => Meant::Last(Setting::BindAddress, Kind::Text),
        'B' => Meant::Last(Setting::BindInterface, Kind::Text),
        'c' => Meant::Last(Setting::Ciphers, Kind::Algorithms(super::algorithms::CIPHERS)),
        'F' => Meant::Files,
        'i' => Meant::First(Setting::IdentityFile, Kind::Text),
        'I' => Meant::Last(Setting::Pkcs11Provider, Kind::Text),
        'J' => Meant::First(Setting::ProxyJump, Kind::Jump),
        'l' => Meant::First(Setting::User, Kind::Text),
        'm' => Meant::Last(Setting::Macs, Kind::Algorithms(super::algorithms::MACS)),
        'o' => Meant::Line,
        'p' => Meant::First(Setting::Port, Kind::Port),
        'P' => Meant::Last(Setting::Tag, Kind::Text),
        'A' | 'a' | 'C' | 'f' | 'g' | 'K' | 'k' | 'M' | 'N' | 'n' | 'q' | 's' | 'T' | 't' | 'v' | 'X' | 'x' | 'Y' | 'y' | '2' => {
            Meant::Ignored(false)
        }
        'D' | 'E' | 'e' | 'L' | 'R' | 'S' | 'W' | 'w' => Meant::Ignored(true),
        '1' | 'G' | 'O' | 'Q' | 'V' => Meant::Refused,
        _ => return None,
    })
}

impl Options {
    /// Reads the words of a command line: `-o Key=Value`, `-J bastion`, `-qTp 2222`.
    ///
    /// Options that mean nothing to a scan are accepted: forwardings, terminals, compression, multiplexing.
    ///
    /// # Errors
    /// Every word that is not an option of ssh(1) or has no sense, by its name.
    pub fn parse(words: &[String]) -> Result<Self, ConfigErrors> {
        Self::parse_from("options for ssh", words)
    }

    /// The same; `source` is what problems and warnings say the options came from.
    ///
    /// # Errors
    /// As [`Options::parse`].
    pub fn parse_from(source: &str, words: &[String]) -> Result<Self, ConfigErrors> {
        let origin = Origin { file: Arc::from(source), line: None, of_user: true };
        let mut options = Self::default();
        let mut problems = Vec::new();
        let mut rest = words.iter().map(String::as_str);
        let mut ended = false;
        while let Some(word) = rest.next() {
            if word == "--" && !ended {
                ended = true;
                continue;
            }
            let Some(letters) = word.strip_prefix('-').filter(|letters| !ended && !letters.is_empty()) else {
                let complaint = Complaint::new(format!("`{word}` is not an option of ssh"));
                problems.push(origin.problem(complaint.hint("options begin with `-`; a value with spaces needs quotes")));
                continue;
            };
            if let Err(complaint) = options.cluster(letters, &mut rest, &origin) {
                problems.push(origin.problem(complaint));
            }
        }
        if problems.is_empty() { Ok(options) } else { Err(ConfigErrors { problems }) }
    }

    /// What `-F` says; the last one counts. A configuration that was loaded from other files does not hold for these options.
    pub fn config_file(&self) -> Option<&Files> {
        self.files.as_ref()
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// `-J` with these hops.
    pub(super) fn jumping(hops: &[Hop]) -> Self {
        if hops.is_empty() {
            return Self::default();
        }
        let origin = Origin { file: Arc::from("ProxyJump"), line: None, of_user: true };
        let line = Line { setting: Setting::ProxyJump, value: Value::Hops(hops.to_vec()), origin, warning: None };
        Self { lines: vec![line], ..Self::default() }
    }

    /// The letters behind one `-`: the first that takes an argument takes the rest, or the next word.
    fn cluster<'a>(
        &mut self,
        letters: &'a str,
        rest: &mut impl Iterator<Item = &'a str>,
        origin: &Origin,
    ) -> Result<(), Complaint> {
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            let meant = meant(letter).ok_or_else(|| {
                let long = letter == '-' || letters.as_str().len() > 1;
                let complaint = Complaint::new(format!("`-{letter}` is not an option of ssh"));
                if long { complaint.hint("ssh has no long options; write `-o Keyword=value`") } else { complaint }
            })?;
            let mut argument = || match letters.as_str() {
                "" => rest.next().ok_or_else(|| Complaint::new(format!("`-{letter}` needs a value behind it"))),
                glued => Ok(glued),
            };
            let of_option =
                |complaint: Complaint| Complaint { message: format!("`-{letter}`: {}", complaint.message), ..complaint };
            match meant {
                Meant::Ignored(false) => continue,
                Meant::Ignored(true) => drop(argument()?),
                Meant::Refused => return Err(Complaint::new(format!("`-{letter}` makes ssh do something else than connect"))),
                Meant::Family(family) => {
                    self.put(Setting::AddressFamily, Kind::Family, family, origin, true)?;
                    continue;
                }
                Meant::Files => self.files = Some(Files::from_argument(argument()?)),
                Meant::Line => self.line(argument()?, origin).map_err(of_option)?,
                Meant::First(setting, kind) => self.put(setting, kind, argument()?, origin, false).map_err(of_option)?,
                Meant::Last(setting, kind) => self.put(setting, kind, argument()?, origin, true).map_err(of_option)?,
            }
            // The argument took the other letters.
            return Ok(());
        }
        Ok(())
    }

    fn has(&self, setting: Setting) -> bool {
        self.lines.iter().any(|line| line.setting == setting)
    }

    /// A value that is one word of the command line, whatever is in it.
    fn put(&mut self, setting: Setting, kind: Kind, text: &str, origin: &Origin, last: bool) -> Result<(), Complaint> {
        let (value, warning) = match kind {
            // Spaces and quotes are the shell's affair and gone by now.
            Kind::Text if text.is_empty() => return Err(Complaint::new("the value is missing")),
            Kind::Text => (Value::Text(text.to_owned()), None),
            kind => value::read(kind, text)?,
        };
        if setting == Setting::ProxyJump && self.has(Setting::ProxyJump) {
            return Err(Complaint::new("jumps stand here for the second time").hint("separate several hops with commas"));
        }
        if setting == Setting::ProxyJump && self.has(Setting::ProxyCommand) {
            return Err(Complaint::new("`ProxyCommand` stands before it").hint("use one of them"));
        }
        check_names(setting, &value)?;
        let warning = warning
            .or_else(|| super::keywords::unsupported(setting, &value))
            .map(|complaint| Arc::new(origin.problem(complaint)));
        if last {
            self.lines.retain(|line| line.setting != setting);
        }
        self.lines.push(Line { setting, value, origin: origin.clone(), warning });
        Ok(())
    }

    /// `-o`: a line of a configuration.
    fn line(&mut self, text: &str, origin: &Origin) -> Result<(), Complaint> {
        let Some(statement) = lexer::statement(text)? else { return Ok(()) };
        let ignored: Vec<String> = self.ignored.iter().cloned().collect();
        match meaning(&statement, origin, &ignored)? {
            Meaning::Line(line) => {
                if line.setting == Setting::ProxyJump {
                    check_names(line.setting, &line.value)?;
                }
                self.lines.push(line);
            }
            Meaning::IgnoreUnknown(patterns) => {
                self.ignored.get_or_insert(patterns);
            }
            Meaning::Host(_) | Meaning::Match(_) | Meaning::Include(_) => {
                return Err(Complaint::new(format!("`{}` can't stand on a command line", statement.keyword))
                    .hint("write it in a file and name that with -F"));
            }
            Meaning::Nothing => {}
        }
        Ok(())
    }
}

/// Names that did not come from a file of the user's may not be commands in disguise.
fn check_names(setting: Setting, value: &Value) -> Result<(), Complaint> {
    match (setting, value) {
        (Setting::User, Value::Text(user)) => hop::check_user(user),
        (Setting::ProxyJump, Value::Hops(hops)) => hops.iter().try_for_each(|jump| {
            hop::check_host(&jump.host)?;
            jump.user.as_deref().map_or(Ok(()), hop::check_user)
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn parse(given: &[&str]) -> Options {
        Options::parse(&words(given)).unwrap()
    }

    fn said(given: &[&str]) -> String {
        Options::parse(&words(given)).unwrap_err().to_string()
    }

    fn shown(given: &[&str]) -> Vec<(Setting, Value)> {
        parse(given).lines.into_iter().map(|line| (line.setting, line.value)).collect()
    }

    #[test]
    fn every_way_of_writing_an_option_is_read() {
        let port = vec![(Setting::Port, Value::Port(2222))];
        for given in [
            &["-p", "2222"][..],
            &["-p2222"],
            &["-qTp", "2222"],
            &["-CAp2222"],
            &["-o", "Port=2222"],
            &["-oPort=2222"],
            &["-o", "Port 2222"],
            &["-To", "port = 2222"],
            &["-D", "1080", "-L80:x:80", "-p", "2222", "-e", "none", "--"],
        ] {
            assert_eq!(shown(given), port, "{given:?}");
        }
        assert!(parse(&["-C", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s"]).is_empty());
    }

    #[test]
    fn some_options_replace_what_stands_before_them_and_others_do_not() {
        use super::super::Family;
        assert_eq!(shown(&["-o", "AddressFamily=inet6", "-4"]), [(Setting::AddressFamily, Value::Family(Family::Inet))]);
        let users = shown(&["-l", "a", "-o", "User=b"]);
        assert_eq!(users, [(Setting::User, Value::Text("a".to_owned())), (Setting::User, Value::Text("b".to_owned()))]);
        assert_eq!(shown(&["-i", "/a b", "-i", "/c"]).len(), 2);
        assert_eq!(parse(&["-F", "a", "-F", "/b"]).config_file(), Some(&Files::Only("/b".into())));
        assert_eq!(parse(&["-Fnone"]).config_file(), Some(&Files::None));
        assert_eq!(parse(&[]).config_file(), None);
    }

    #[test]
    fn an_option_that_is_not_one_is_named() {
        assert!(said(&["-Z"]).contains("`-Z` is not an option of ssh"));
        assert!(said(&["--verbose"]).contains("ssh has no long options"));
        assert!(said(&["web01"]).contains("`web01` is not an option of ssh"));
        assert!(said(&["-p"]).contains("`-p` needs a value"));
        assert!(said(&["-p", "x"]).contains("`-p`: `x` is not a port"));
        assert!(said(&["-V"]).contains("something else than connect"));
        assert!(said(&["-o", "Host=x"]).contains("can't stand on a command line"));
        assert!(said(&["-o", "Prot=22"]).contains("did you mean `Port`?"));
        assert!(said(&["-J", "a", "-J", "b"]).contains("second time"));
        assert!(said(&["-o", "ProxyCommand=x", "-J", "b"]).contains("`ProxyCommand` stands before it"));
        assert!(said(&["-J", "a;b"]).contains("is not the name of a host"));
        assert!(said(&["-l", "-x"]).contains("is not the name of a user"));
        assert_eq!(said(&["-Z", "-p", "0"]).lines().count(), 3);
    }

    #[test]
    fn unknown_keywords_may_be_ignored_from_there_on() {
        assert!(Options::parse(&words(&["-o", "IgnoreUnknown=Use*", "-o", "UseKeychain=yes"])).is_ok());
        assert!(Options::parse(&words(&["-o", "UseFoo=yes", "-o", "IgnoreUnknown=Use*"])).is_err());
    }
}
