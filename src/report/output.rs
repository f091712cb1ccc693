//! Where reports go: `-o FORMAT=PATH`, tried before the sweep, written after it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tempfile::NamedTempFile;

use super::{FORMATS, Format, WriteError, safe};
use crate::journal::Journal;
use crate::model::FleetReport;

/// The mode of a new report, before the umask.
const MODE: u32 = 0o666;

/// What `-o` said: a format and where to.
#[derive(Debug, Clone)]
pub struct Output {
    format: &'static Format,
    /// `None` is standard output.
    path: Option<PathBuf>,
}

impl Output {
    /// A report of that format into a file.
    pub fn to_file(format: &'static Format, path: impl Into<PathBuf>) -> Self {
        Self { format, path: Some(path.into()) }
    }

    /// Whether it goes to standard output, where nothing else may then be printed.
    pub fn is_stdout(&self) -> bool {
        self.path.is_none()
    }
}

impl FromStr for Output {
    type Err = OutputError;

    fn from_str(argument: &str) -> Result<Self, OutputError> {
        let (name, path) = argument.split_once('=').ok_or_else(|| OutputError::NoFormat { argument: safe(argument) })?;
        let format = Format::named(name).ok_or_else(|| OutputError::UnknownFormat { name: safe(name) })?;
        match path {
            "" => Err(OutputError::NoPath { name: format.name }),
            "-" => Ok(Self { format, path: None }),
            _ => Ok(Self::to_file(format, path)),
        }
    }
}

/// A report's destination that was found writable.
#[derive(Debug)]
pub struct Sink {
    format: &'static Format,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Stdout,
    /// A pipe or a device, which cannot be replaced by another file.
    Stream(PathBuf, File),
    /// A file that appears whole or not at all.
    File(PathBuf),
}

impl Sink {
    /// Proves that the report can be written, without touching a report that is there already.
    pub fn open(output: Output) -> Result<Self, OutputError> {
        let Output { format, path } = output;
        let target = match path {
            None => Target::Stdout,
            Some(path) => open_path(&path).map_err(|source| OutputError::NotWritable { path, source })?,
        };
        Ok(Self { format, target })
    }

    /// Where it goes, for messages.
    fn place(&self) -> String {
        match &self.target {
            Target::Stdout => "standard output".to_owned(),
            Target::Stream(path, _) | Target::File(path) => safe(&path.to_string_lossy()),
        }
    }

    fn write(self, report: &FleetReport, journal: &Journal) -> Result<(), WriteError> {
        let write = self.format.write;
        let into = |out: &mut dyn Write| {
            let mut out = BufWriter::new(out);
            write(report, journal, &mut out)?;
            Ok(out.flush()?)
        };
        match self.target {
            Target::Stdout => reader_had_enough(into(&mut io::stdout().lock())),
            Target::Stream(_, mut file) => reader_had_enough(into(&mut file)),
            Target::File(path) => {
                let mut file = temporary_beside(&path)?;
                into(file.as_file_mut())?;
                if let Ok(old) = fs::metadata(&path) {
                    file.as_file().set_permissions(old.permissions())?;
                }
                // Renaming before the bytes are on the disk could leave an empty report after a power cut.
                file.as_file().sync_all()?;
                file.persist(&path).map_err(|error| error.error)?;
                Ok(())
            }
        }
    }
}

/// `fleetscan .. | head` is not an error.
fn reader_had_enough(result: Result<(), WriteError>) -> Result<(), WriteError> {
    match result {
        Err(WriteError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn open_path(path: &Path) -> io::Result<Target> {
    match fs::metadata(path) {
        Ok(known) if known.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(known) if !known.is_file() => Ok(Target::Stream(path.to_owned(), OpenOptions::new().write(true).open(path)?)),
        Ok(_) => {
            // The rename would go through even where the file itself is protected, and would replace a symbolic link.
            OpenOptions::new().append(true).open(path)?;
            provably_writable(path.canonicalize()?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => provably_writable(path.to_owned()),
        Err(error) => Err(error),
    }
}

/// A file is made beside the path and removed at once: holding it until the end would leave it behind when the scan is killed.
fn provably_writable(path: PathBuf) -> io::Result<Target> {
    temporary_beside(&path)?.close()?;
    Ok(Target::File(path))
}

fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    tempfile::Builder::new().prefix(".fleetscan-").suffix(".tmp").permissions(Permissions::from_mode(MODE)).tempfile_in(directory)
}

/// Opens every destination, so that a bad path fails before the first host is contacted. All that is wrong is said at once.
pub fn open_all(outputs: Vec<Output>) -> Result<Vec<Sink>, Vec<OutputError>> {
    let mut sinks: Vec<Sink> = Vec::new();
    let mut errors = Vec::new();
    for output in outputs {
        match Sink::open(output) {
            Ok(sink) if sinks.iter().any(|other| other.place() == sink.place()) => {
                errors.push(OutputError::Twice { place: sink.place() });
            }
            Ok(sink) => sinks.push(sink),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(sinks) } else { Err(errors) }
}

/// Writes every report, each in its own pass over the journal. One that cannot be written does not keep the others from it; the errors
/// come back in the order of the sinks, none when all is written.
pub fn write_all(report: &FleetReport, journal: &Journal, sinks: Vec<Sink>) -> Vec<ReportError> {
    sinks
        .into_iter()
        .filter_map(|sink| {
            let (format, place) = (sink.format.name, sink.place());
            sink.write(report, journal).err().map(|source| ReportError { format, place, source })
        })
        .collect()
}

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the {format} report to `{place}`")]
pub struct ReportError {
    /// The name of the format.
    pub format: &'static str,
    /// Where it was to go.
    pub place: String,
    /// What went wrong.
    pub source: WriteError,
}

/// What is wrong with an `-o`.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// There is no `=`.
    #[error("`{argument}` names no format")]
    NoFormat {
        /// As typed.
        argument: String,
    },
    /// The format is none of ours.
    #[error("there is no report format `{name}`")]
    UnknownFormat {
        /// As typed.
        name: String,
    },
    /// Nothing follows the `=`.
    #[error("`{name}=` names no file")]
    NoPath {
        /// The format.
        name: &'static str,
    },
    /// Two reports would overwrite each other.
    #[error("two reports would go to `{place}`")]
    Twice {
        /// Where to.
        place: String,
    },
    /// The file could not be opened or made.
    #[error("cannot write a report to `{}`", path.display())]
    NotWritable {
        /// As typed.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl OutputError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoFormat { .. } | Self::UnknownFormat { .. } => {
                let names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
                format!("write `-o FORMAT=PATH`, where FORMAT is one of {}", names.join(", "))
            }
            Self::NoPath { name } => format!("write `-o {name}=PATH`, or `-o {name}=-` for standard output"),
            Self::Twice { .. } => "give each report a file of its own".to_owned(),
            Self::NotWritable { path, source } => match (source.kind(), path.parent()) {
                (io::ErrorKind::NotFound, Some(directory)) => {
                    format!("make the directory first: `mkdir -p {}`", safe(&directory.to_string_lossy()))
                }
                (io::ErrorKind::IsADirectory, _) => "name a file in that directory".to_owned(),
                _ => "name a file in a directory that you may write to".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn parsed(argument: &str) -> Result<Output, OutputError> {
        argument.parse()
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_argument_is_a_format_and_a_path() {
        let output = parsed("json=a=b.json").unwrap();
        assert_eq!((output.format.name, output.path), ("json", Some(PathBuf::from("a=b.json"))));
        assert!(parsed("csv=-").unwrap().is_stdout());
        for (argument, message, hint) in [
            ("report.json", "`report.json` names no format", "write `-o FORMAT=PATH`, where FORMAT is one of json, csv, text"),
            ("pdf=x", "there is no report format `pdf`", "write `-o FORMAT=PATH`, where FORMAT is one of json, csv, text"),
            ("csv=", "`csv=` names no file", "write `-o csv=PATH`, or `-o csv=-` for standard output"),
        ] {
            let error = parsed(argument).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.hint().as_str()), (message, hint));
        }
    }

    #[test]
    fn a_path_that_cannot_be_written_fails_at_once_and_says_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let missing = format!("json={}/no/such/report.json", directory.path().display());
        let taken = format!("csv={}", directory.path().display());
        let errors = open_all(vec![parsed(&missing).unwrap(), parsed(&taken).unwrap()]).unwrap_err();
        assert_eq!(errors.len(), 2);
        assert_eq!(errors[0].hint(), format!("make the directory first: `mkdir -p {}/no/such`", directory.path().display()));
        assert_eq!(errors[1].hint(), "name a file in that directory");
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn two_reports_never_share_a_destination() {
        let directory = tempfile::tempdir().unwrap();
        let path = format!("{}/report", directory.path().display());
        let outputs = [format!("json={path}"), format!("csv={path}"), "json=-".to_owned(), "csv=-".to_owned()];
        let errors = open_all(outputs.iter().map(|output| parsed(output).unwrap()).collect()).unwrap_err();
        let messages: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            [format!("two reports would go to `{path}`"), "two reports would go to `standard output`".to_owned()]
        );
    }

    #[test]
    fn an_old_report_stays_whole_until_the_new_one_is_and_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let (report, link) = (directory.path().join("report.json"), directory.path().join("latest.json"));
        fs::write(&report, "old").unwrap();
        fs::set_permissions(&report, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("report.json", &link).unwrap();
        let json = Format::named("json").unwrap();
        let sinks = open_all(vec![Output::to_file(json, &link)]).unwrap();
        assert_eq!(fs::read_to_string(&report).unwrap(), "old");

        let fleet = fixture::hostile();
        let (totals, journal) = fleet.finished();
        assert!(write_all(&totals, &journal, sinks).is_empty());
        assert_eq!(fs::read(&report).unwrap(), fleet.written(json.write));
        assert_eq!(fs::metadata(&report).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(directory.path()), ["latest.json", "report.json"]);
    }

    #[test]
    fn a_report_that_fails_leaves_the_old_one_and_the_other_formats_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (gone, good) = (directory.path().join("gone"), directory.path().join("findings.csv"));
        fs::create_dir(&gone).unwrap();
        let to = |name, path: &Path| Output::to_file(Format::named(name).unwrap(), path);
        let outputs = vec![to("json", &gone.join("report.json")), to("text", Path::new("/dev/full")), to("csv", &good)];
        let sinks = open_all(outputs).unwrap();
        fs::remove_dir(&gone).unwrap();
        let (totals, journal) = fixture::hostile().finished();
        let errors: Vec<_> = write_all(&totals, &journal, sinks).iter().map(|error| error.format).collect();
        assert_eq!(errors, ["json", "text"]);
        assert!(fs::metadata(good).unwrap().len() > 0);
    }

    #[test]
    fn a_device_is_written_to_and_never_replaced() {
        let sink = Sink::open(Output::to_file(Format::named("csv").unwrap(), "/dev/null")).unwrap();
        assert!(matches!(sink.target, Target::Stream(..)));
    }
}
