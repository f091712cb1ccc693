//! The framed answers of a script, read as they arrive.

use std::collections::BTreeMap;

use super::redact;
use crate::command::{Become, PRIVILEGE, Rights, Script, Step, Stream};
use crate::model::{Privilege, Why};

/// What became of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It ran to its end.
    Done,
    /// It ran into its time limit on the host.
    TimedOut,
    /// It was not run, for want of rights.
    NeedsRoot,
    /// Its program is not there.
    Missing,
}

impl State {
    /// The word in the frame and in recordings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::TimedOut => "timed_out",
            Self::NeedsRoot => "needs_root",
            Self::Missing => "missing",
        }
    }

    /// The state of that word.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Done, Self::TimedOut, Self::NeedsRoot, Self::Missing].into_iter().find(|state| state.as_str() == word)
    }
}

/// The answer of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What a person reads as its source.
    pub command: String,
    /// The program that was asked.
    pub program: String,
    /// What became of it.
    pub state: State,
    /// The exit status.
    pub exit: i32,
    /// Standard output, without secrets.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Whether a stream was longer than the limit; what is here is its beginning.
    pub truncated: bool,
}

impl Answer {
    /// Why the answer cannot be used, whatever its exit status; `None` when it can. `rise` is how the script came by the rights of root, where it tried.
    fn unusable(&self, rise: Option<&Answer>) -> Option<Why> {
        let command = &self.command;
        match self.state {
            State::NeedsRoot => {
                let because = rise.and_then(Answer::obstacle).unwrap_or_else(|| "the login is not root".to_owned());
                return Some(Why::NeedsRoot(format!("{because}; `{command}` needs root")));
            }
            State::Missing => return Some(Why::ToolMissing(format!("`{}` is not installed", self.program))),
            State::TimedOut => return Some(Why::TimedOut(format!("`{command}` ran into its time limit on the host"))),
            State::Done => {}
        }
        if self.truncated {
            return Some(Why::Truncated(format!("`{command}` printed more than the limit")));
        }
        if self.exit == 0 {
            return None;
        }
        let refusal = self.refusal()?;
        let because = rise.and_then(Answer::obstacle).unwrap_or(refusal);
        Some(Why::NeedsRoot(format!("{because}; `{command}` needs root")))
    }

    /// What sudo or doas said instead of running the command.
    pub fn refusal(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.stderr);
        let refused = |line: &str| {
            ["sudo: ", "doas: ", "Sorry, user "].iter().any(|start| line.starts_with(start))
                || [" is not in the sudoers file", " may not run sudo on "].iter().any(|part| line.contains(part))
        };
        let line = text.lines().map(str::trim).find(|line| refused(line))?;
        // What doas calls it is not what helps: there is nowhere to type a password.
        let advice = if line.starts_with("doas: Auth") {
            " (it takes a password from a terminal only; its rule needs `nopass`)"
        } else {
            ""
        };
        Some(format!("{line}{advice}"))
    }

    /// Of the answer under [`PRIVILEGE`]: why there are no rights of root at all.
    fn obstacle(&self) -> Option<String> {
        let text = self.text();
        let says = |word: &str| text.lines().any(|line| line == word);
        if says("missing") {
            return Some("the host has no sudo (or doas) to ask".to_owned());
        }
        if says("no_builtin") {
            return Some("the host's shell cannot hand a password over unseen (its printf is a program)".to_owned());
        }
        if says("no_password") {
            return Some("the password was not sent, for other hosts had not accepted it".to_owned());
        }
        // The first of these lines is that of the try without a password.
        let rest = String::from_utf8_lossy(&self.stderr);
        let dull =
            ["try again", "a password is required", "authentication is required", "ssword: ", "[sudo: ", "asked", "rejected"];
        let told = |line: &&str| !line.is_empty() && !dull.iter().any(|words| line.contains(words));
        let told = rest.lines().map(str::trim).find(told).map(|line| format!(" ({line})")).unwrap_or_default();
        if says("refused") {
            return Some(format!("sudo refused before it looked at the password{told}"));
        }
        says("rejected").then(|| format!("sudo did not accept the password{told}"))
    }

    /// The first line of standard error that says something.
    pub fn complaint(&self) -> String {
        let text = self.error_text();
        text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing").to_owned()
    }

    /// Standard output as text, decoded once; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text. A program that was called by its path begins its complaints with that path; here it always begins with its name.
    pub fn error_text(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let called = format!("/{}: ", self.program);
        let named = |line: &str| match line.split_once(&called) {
            Some((directory, complaint)) if directory.is_empty() || (directory.starts_with('/') && !directory.contains(' ')) => {
                format!("{}: {complaint}", self.program)
            }
            _ => line.to_owned(),
        };
        text.split('\n').map(named).collect::<Vec<_>>().join("\n")
    }

    /// Whether standard error speaks of missing rights.
    pub fn was_denied(&self) -> bool {
        let text = self.error_text();
        ["Permission denied", "permission denied", "Operation not permitted", "must be root", "are you root"]
            .iter()
            .any(|phrase| text.contains(phrase))
    }
}

/// All answers of a host, by the id of their step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    answers: BTreeMap<String, Answer>,
    complete: bool,
}

impl Transcript {
    /// Answers from elsewhere: a recording, a test. Secrets are taken out here as well.
    pub fn from_answers(answers: impl IntoIterator<Item = (String, Answer)>, complete: bool) -> Self {
        let mut transcript = Self { answers: BTreeMap::new(), complete };
        for (id, answer) in answers {
            transcript.insert(id, answer);
        }
        transcript
    }

    fn insert(&mut self, id: String, mut answer: Answer) {
        if let Some(redacted) = redact(&id, &answer.stdout) {
            answer.stdout = redacted;
        }
        self.answers.insert(id, answer);
    }

    /// Whether the script ran to its end: every step has its answer.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether there is any answer at all.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Every answer with the id of its step, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Answer)> {
        self.answers.iter().map(|(id, answer)| (id.as_str(), answer))
    }

    /// The answer of a step that could be run and whose output is whole, whatever its exit status.
    ///
    /// # Errors
    /// Why there is none: not answered, needs root, tool missing, timed out, truncated.
    pub fn answer(&self, id: &str) -> Result<&Answer, Why> {
        let answer = self.answers.get(id).ok_or_else(|| Why::NotAnswered(format!("the step `{id}` has no answer")))?;
        answer.unusable(self.answers.get(PRIVILEGE)).map_or(Ok(answer), Err)
    }

    /// Whether sudo was given a password and did not accept it.
    pub fn password_was_rejected(&self) -> bool {
        self.answers.get(PRIVILEGE).is_some_and(|answer| answer.text().lines().any(|line| line == "rejected"))
    }

    /// Whether sudo wanted a password that was not sent, since other hosts had not accepted it.
    pub fn password_was_withheld(&self) -> bool {
        self.answers.get(PRIVILEGE).is_some_and(|answer| answer.text().lines().any(|line| line == "no_password"))
    }

    /// By which rights the steps were asked that need root, of a login that is not root itself. `with_become`: whether the script might ask for them at all.
    ///
    /// Rules that name commands are told from no rules by what became of the commands.
    pub fn privilege(&self, steps: &[Step], with_become: bool) -> Privilege {
        let words = self.answers.get(PRIVILEGE).map(Answer::text);
        let word = words.as_deref().and_then(|text| text.lines().filter_map(Privilege::of).next_back());
        let by_command = match word {
            Some(privilege @ (Privilege::Sudo | Privilege::Doas)) => privilege,
            Some(privilege) => return privilege,
            // Recorded before scripts said so.
            None if with_become && words.is_none() => Privilege::Sudo,
            None => return Privilege::User,
        };
        let of = |rights| {
            steps.iter().filter(move |step: &&Step| step.command.rights() == rights && step.command.always_needs_its_rights())
        };
        let obeyed = |step: &Step| matches!(self.answer(&step.id), Ok(_) | Err(Why::TimedOut(_) | Why::Truncated(_)));
        // The socket of Docker may be open to the login itself.
        let obeyed = match of(Rights::Root).next() {
            Some(_) => of(Rights::Root).any(obeyed),
            None => of(Rights::Docker).any(obeyed),
        };
        if obeyed { by_command } else { Privilege::User }
    }

    /// Standard output of a step that exited with 0.
    ///
    /// # Errors
    /// As [`Self::answer`]; missing rights and any other failure of the command are told apart by what it said.
    pub fn text(&self, id: &str) -> Result<String, Why> {
        let answer = self.answer(id)?;
        match answer.exit {
            0 => Ok(answer.text()),
            _ if answer.was_denied() => Err(Why::NeedsRoot(format!("`{}`: {}", answer.command, answer.complaint()))),
            exit => Err(Why::ProbeFailed(format!("`{}` exited with {exit}: {}", answer.command, answer.complaint()))),
        }
    }

    /// Standard output whatever the exit status, for commands that answer in part (`grep` and `stat` on several files). Missing rights are still an error.
    ///
    /// # Errors
    /// As [`Self::answer`], and needs-root where the command says so.
    pub fn text_lenient(&self, id: &str) -> Result<String, Why> {
        let answer = self.answer(id)?;
        if answer.exit != 0 && answer.was_denied() {
            return Err(Why::NeedsRoot(format!("`{}`: {}", answer.command, answer.complaint())));
        }
        Ok(answer.text())
    }
}

/// Limits on what is kept of one host's output, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct OutputLimits {
    /// Of each stream of one step.
    pub step: usize,
    /// Of both streams of the whole script, whether kept or not.
    pub host: usize,
}

impl Default for OutputLimits {
    fn default() -> Self {
        Self { step: 4 << 20, host: 8 << 20 }
    }
}

/// One stream, cut into frames as it arrives.
#[derive(Debug, Default)]
struct Track {
    /// The unfinished line, as far as it can still be a mark.
    line: Vec<u8>,
    /// Whether the line has grown beyond any mark, so that it is passed on at once.
    plain: bool,
    /// The step whose answer this is part of.
    open: Option<usize>,
    /// Whether a line was kept before in this frame, so that its newline is due.
    began: bool,
    ended: bool,
}

/// Reads the two streams of a script into a [`Transcript`], keeping no more than the limits allow.
///
/// What comes before the first frame (a motd, a noisy profile) and between frames is dropped. A frame begins and ends with the nonce of this very run,
/// so output cannot forge one.
#[derive(Debug)]
pub struct FrameReader {
    mark: Vec<u8>,
    steps: Vec<(String, String, String)>,
    limits: OutputLimits,
    tracks: [Track; 2],
    kept: Vec<[Vec<u8>; 2]>,
    truncated: Vec<[bool; 2]>,
    ends: Vec<[Option<(i32, State)>; 2]>,
    received: usize,
}

impl FrameReader {
    /// A reader for the answer of this script.
    pub fn new(script: &Script, limits: OutputLimits) -> Self {
        let mut steps: Vec<_> = script
            .steps()
            .iter()
            .map(|step| (step.id.clone(), step.command.to_string(), step.command.program().to_owned()))
            .collect();
        if script.with() != Become::No {
            steps.push((PRIVILEGE.to_owned(), "sudo, doas".to_owned(), "sudo".to_owned()));
        }
        let count = steps.len();
        Self {
            mark: format!("@{} ", script.nonce()).into_bytes(),
            steps,
            limits,
            tracks: [Track::default(), Track::default()],
            kept: vec![[Vec::new(), Vec::new()]; count],
            truncated: vec![[false; 2]; count],
            ends: vec![[None, None]; count],
            received: 0,
        }
    }

    /// Takes bytes of a stream. False once the host has sent more than it may: the caller stops reading.
    pub fn feed(&mut self, stream: Stream, bytes: &[u8]) -> bool {
        self.received = self.received.saturating_add(bytes.len());
        let side = match stream {
            Stream::Stdout => 0,
            Stream::Stderr => 1,
        };
        // Longer than any mark: `@NONCE E ID EXIT STATE`.
        let longest = self.mark.len() + 256;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            if self.tracks[side].plain {
                self.keep(side, text);
            } else {
                self.tracks[side].line.extend_from_slice(text);
                let line = &self.tracks[side].line;
                let could_be_mark = line.starts_with(&self.mark) || self.mark.starts_with(line);
                if !whole && could_be_mark && line.len() < longest {
                    continue;
                }
                let line = std::mem::take(&mut self.tracks[side].line);
                if whole && line.starts_with(&self.mark) {
                    self.frame(side, &line);
                    continue;
                }
                self.newline(side);
                self.keep(side, &line);
                self.tracks[side].plain = true;
            }
            if whole {
                self.tracks[side].plain = false;
            }
        }
        self.received <= self.limits.host
    }

    /// Bytes received so far, on both streams.
    pub fn received(&self) -> usize {
        self.received
    }

    /// Whether both streams have reached the end of the script.
    pub fn is_complete(&self) -> bool {
        self.tracks.iter().all(|track| track.ended)
    }

    /// The newline that ended the line before, now that it is known not to belong to a mark.
    fn newline(&mut self, side: usize) {
        if self.tracks[side].began {
            self.keep(side, b"\n");
        }
        self.tracks[side].began = true;
    }

    fn keep(&mut self, side: usize, bytes: &[u8]) {
        let Some(step) = self.tracks[side].open else { return };
        let kept = &mut self.kept[step][side];
        let room = self.limits.step - kept.len().min(self.limits.step);
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.truncated[step][side] |= bytes.len() > room;
    }

    fn frame(&mut self, side: usize, line: &[u8]) {
        let words = String::from_utf8_lossy(&line[self.mark.len()..]).into_owned();
        let words: Vec<&str> = words.split(' ').collect();
        let place = |id: &str| self.steps.iter().position(|(known, ..)| known == id);
        match words.as_slice() {
            ["B", id] => {
                let open = place(id);
                if let Some(step) = open {
                    // Asked anew, by another shell: what the former heard is void.
                    self.kept[step][side].clear();
                    self.ends[step][side] = None;
                    self.truncated[step][side] = false;
                }
                let track = &mut self.tracks[side];
                track.open = open;
                track.began = false;
            }
            ["E", id, exit, state] => {
                let track = &mut self.tracks[side];
                if let (Some(step), Ok(exit), Some(state)) = (track.open, exit.parse(), State::of(state))
                    && self.steps[step].0 == *id
                {
                    self.ends[step][side] = Some((exit, state));
                }
                track.open = None;
            }
            ["Z", "end"] => self.tracks[side].ended = true,
            // What is said about the password stands between words of sudo's.
            ["P", ..] => {}
            _ => self.tracks[side].open = None,
        }
    }

    /// The answers that are whole: those whose end was seen on both streams.
    pub fn finish(self) -> Transcript {
        let complete = self.is_complete();
        let mut transcript = Transcript { answers: BTreeMap::new(), complete };
        let whole = self.steps.into_iter().zip(self.kept).zip(self.truncated).zip(self.ends);
        for ((((id, command, program), [stdout, stderr]), truncated), ends) in whole {
            if let [Some((exit, state)), Some(_)] = ends {
                let truncated = truncated.contains(&true);
                transcript.insert(id, Answer { command, program, state, exit, stdout, stderr, truncated });
            }
        }
        transcript
    }
}

/// The two streams with which a host whose answers are these would answer this script, for the simulated fleet; `None` when the text is no script of
/// ours. A step without an answer is answered as if its program were missing. How the host gave the rights of root is said where it was recorded.
pub fn replayed(script: &str, answers: &Transcript) -> Option<(Vec<u8>, Vec<u8>)> {
    let nonce = script.lines().find_map(|line| line.strip_prefix("N="))?;
    let mut streams = (Vec::new(), Vec::new());
    let mark = |words: String, streams: &mut (Vec<u8>, Vec<u8>)| {
        let mark = format!("\n@{nonce} {words}\n").into_bytes();
        streams.0.extend_from_slice(&mark);
        streams.1.extend_from_slice(&mark);
    };
    let rise = (script.contains("\nrise\n") && answers.answers.contains_key(PRIVILEGE)).then_some(PRIVILEGE);
    for id in rise.into_iter().chain(script.lines().filter_map(|line| line.strip_prefix("ask ")?.split(' ').next())) {
        mark(format!("B {id}"), &mut streams);
        match answers.answers.get(id) {
            Some(answer) => {
                streams.0.extend_from_slice(&answer.stdout);
                streams.1.extend_from_slice(&answer.stderr);
                mark(format!("E {id} {} {}", answer.exit, answer.state.as_str()), &mut streams);
            }
            None => mark(format!("E {id} 127 {}", State::Missing.as_str()), &mut streams),
        }
    }
    mark("Z end".to_owned(), &mut streams);
    Some(streams)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::command::{Become, Program, ReadOnlyCommand, Rights, Step};
    use crate::model::{FactRef, Facts};

    /// An answer that exited with 0, for the tests of parsers.
    pub(crate) fn answered(stdout: &str) -> Answer {
        answered_with(stdout, "", 0)
    }

    /// An answer with its standard error and exit status.
    pub(crate) fn answered_with(stdout: &str, stderr: &str, exit: i32) -> Answer {
        Answer {
            command: "the command".to_owned(),
            program: "the program".to_owned(),
            state: State::Done,
            exit,
            stdout: stdout.as_bytes().to_vec(),
            stderr: stderr.as_bytes().to_vec(),
            truncated: false,
        }
    }

    /// An answer that never ran.
    pub(crate) fn not_run(state: State) -> Answer {
        Answer { state, ..answered("") }
    }

    /// The facts of these names (`family["key"]` for families) from these answers, through the same path as a scan.
    pub(crate) fn facts_of(names: &[&str], answers: &[(&str, Answer)]) -> Facts {
        let wanted: Vec<FactRef> = names
            .iter()
            .map(|name| match name.split_once("[\"") {
                Some((family, key)) => FactRef::keyed(family, key.trim_end_matches("\"]")),
                None => FactRef::plain(*name),
            })
            .collect();
        let plan = crate::probe::plan(&wanted).expect("known facts");
        let answers = answers.iter().map(|(id, answer)| ((*id).to_owned(), answer.clone()));
        let facts = crate::probe::facts(&plan, &Transcript::from_answers(answers, true));
        for fact in plan.facts() {
            if let Some(Ok(value)) = facts.state(fact) {
                let spec = crate::probe::fact_spec(&fact.name).expect("a spec");
                spec.kind.accepts(value, &fact.to_string()).expect("a value of its kind");
            }
        }
        facts
    }

    const NONCE: &str = "0123456789abcdef";

    fn reader() -> FrameReader {
        let command = |path| ReadOnlyCommand::new(Program::Cat, &[path], Rights::Any).expect("permitted");
        let steps = [Step::new("one", command("/one")), Step::new("two", command("/two"))];
        FrameReader::new(&Script::new(NONCE, &steps, Become::No), OutputLimits { step: 32, host: 4096 })
    }

    fn whole_answer(one: &str) -> (String, String) {
        let stdout = format!(
            "Welcome!\n\n@{NONCE} B one\n{one}\n@{NONCE} E one 0 done\n\n@{NONCE} B two\ntwo\n\n@{NONCE} E two 3 done\n\n@{NONCE} Z end\n"
        );
        let stderr = format!(
            "\n@{NONCE} B one\n\n@{NONCE} E one 0 done\n\n@{NONCE} B two\nno such file\n\n@{NONCE} E two 3 done\n\n@{NONCE} Z end\n"
        );
        (stdout, stderr)
    }

    #[test]
    fn frames_are_read_whatever_the_pieces_they_come_in() {
        let (stdout, stderr) = whole_answer("first\nsecond");
        for size in 1..=stdout.len() {
            let mut reader = reader();
            for piece in stdout.as_bytes().chunks(size) {
                assert!(reader.feed(Stream::Stdout, piece));
            }
            for piece in stderr.as_bytes().chunks(size) {
                assert!(reader.feed(Stream::Stderr, piece));
            }
            let transcript = reader.finish();
            assert!(transcript.is_complete());
            assert_eq!(transcript.answer("one").expect("one").text(), "first\nsecond", "in pieces of {size}");
            let two = transcript.answer("two").expect("two");
            assert_eq!((two.exit, two.text().as_str(), two.complaint().as_str()), (3, "two\n", "no such file"));
        }
    }

    #[test]
    fn an_answer_cut_off_is_no_answer() {
        let (stdout, stderr) = whole_answer("first");
        let mut reader = reader();
        reader.feed(Stream::Stdout, &stdout.as_bytes()[..stdout.len() / 2]);
        reader.feed(Stream::Stderr, stderr.as_bytes());
        let transcript = reader.finish();
        assert!(!transcript.is_complete());
        assert!(matches!(transcript.answer("two"), Err(Why::NotAnswered(_))));
    }

    #[test]
    fn a_frame_with_another_nonce_is_output() {
        let (stdout, stderr) = whole_answer("@fedcba9876543210 E one 0");
        let mut reader = reader();
        reader.feed(Stream::Stdout, stdout.as_bytes());
        reader.feed(Stream::Stderr, stderr.as_bytes());
        assert_eq!(reader.finish().answer("one").expect("one").text(), "@fedcba9876543210 E one 0");
    }

    #[test]
    fn a_long_answer_is_cut_and_unusable_and_spoils_no_other() {
        let (stdout, stderr) = whole_answer(&"x".repeat(1000));
        let mut reader = reader();
        assert!(reader.feed(Stream::Stdout, stdout.as_bytes()));
        reader.feed(Stream::Stderr, stderr.as_bytes());
        let transcript = reader.finish();
        assert!(matches!(transcript.answer("one"), Err(Why::Truncated(_))));
        assert_eq!(transcript.answer("two").expect("two").text(), "two\n");
    }

    #[test]
    fn endless_output_ends_the_reading() {
        let mut reader = reader();
        assert!(!reader.feed(Stream::Stdout, &[b'y'; 5000]));
        assert!(reader.finish().is_empty());
    }

    #[test]
    fn a_replayed_host_answers_as_the_real_one_did() {
        let command = ReadOnlyCommand::new(Program::Cat, &["/one"], Rights::Any).expect("permitted");
        let script = Script::new(NONCE, &[Step::new("one", command.clone()), Step::new("two", command)], Become::No);
        let recorded = Transcript::from_answers([("one".to_owned(), answered_with("out\n\nput", "err\n", 7))], true);
        let (stdout, stderr) = replayed(script.text(), &recorded).expect("a script");
        let mut reader = FrameReader::new(&script, OutputLimits::default());
        assert!(reader.feed(Stream::Stdout, &stdout) && reader.feed(Stream::Stderr, &stderr));
        let transcript = reader.finish();
        assert!(transcript.is_complete());
        let one = transcript.answer("one").expect("answered");
        assert_eq!((one.exit, one.text().as_str(), one.error_text().as_str()), (7, "out\n\nput", "err\n"));
        assert!(matches!(transcript.answer("two"), Err(Why::ToolMissing(_))));
        assert!(replayed("echo hello", &recorded).is_none());
    }

    #[test]
    fn a_program_called_by_its_path_complains_by_its_name() {
        let stderr = "/usr/bin/stat: cannot statx '/a': No such file or directory\nstat: cannot statx '/usr/bin/stat: x'\n";
        let answer = Answer { program: "stat".to_owned(), ..answered_with("", stderr, 1) };
        assert_eq!(answer.complaint(), "stat: cannot statx '/a': No such file or directory");
        assert_eq!(answer.error_text(), stderr.replacen("/usr/bin/", "", 1));
    }

    #[test]
    fn a_refusal_of_sudo_is_needs_root_and_not_a_failure_of_the_program() {
        let refused = answered_with("", "sudo: a password is required\n", 1);
        let transcript = Transcript::from_answers([("x".to_owned(), refused)], true);
        assert!(matches!(transcript.text("x"), Err(Why::NeedsRoot(_))));
    }
}
