//! The lines that decided so far for one host: the first of each setting, and the files that add up.

use std::sync::Arc;
use std::time::Duration;

use super::keywords::Setting;
use super::line::Line;
use super::problem::Problem;
use super::value::Value;
use super::{AlgorithmList, Hop};

/// What decided so far.
pub(super) struct State<'a> {
    pub(super) user: Option<&'a str>,
    port: Option<u16>,
    /// The first line of each setting.
    first: [Option<&'a Line>; Setting::COUNT],
    pub(super) identities: Vec<&'a Line>,
    pub(super) certificates: Vec<&'a Line>,
    pub(super) warnings: Vec<Arc<Problem>>,
}

impl<'a> State<'a> {
    /// What was asked for decides before any line.
    pub(super) fn new(user: Option<&'a str>, port: Option<u16>) -> Self {
        let (identities, certificates, warnings) = (Vec::new(), Vec::new(), Vec::new());
        Self { user, port, first: [None; Setting::COUNT], identities, certificates, warnings }
    }

    /// Takes a line where none of its setting came before it.
    pub(super) fn apply(&mut self, line: &'a Line) {
        match line.setting {
            Setting::IdentityFile => add(&mut self.identities, line),
            Setting::CertificateFile => add(&mut self.certificates, line),
            Setting::Notice => self.warn(line),
            // Whichever comes first keeps the other out, also when it says `none`.
            Setting::ProxyJump if self.line(Setting::ProxyCommand).is_some() => {}
            Setting::ProxyCommand if self.line(Setting::ProxyJump).is_some() => {}
            // `none` is no value at all.
            _ if line.value == Value::Time(None) => {}
            setting => {
                if let Some(slot @ None) = self.first.get_mut(setting as usize) {
                    *slot = Some(line);
                    self.warn(line);
                }
            }
        }
    }

    pub(super) fn warn(&mut self, line: &Line) {
        // A notice is met again in the second pass.
        if let Some(warning) = line.warning.as_ref().filter(|warning| !self.warnings.contains(warning)) {
            self.warnings.push(Arc::clone(warning));
        }
    }

    pub(super) fn line(&self, setting: Setting) -> Option<&'a Line> {
        self.first.get(setting as usize).copied().flatten()
    }

    pub(super) fn text(&self, setting: Setting) -> Option<(&'a str, &'a Line)> {
        let line = self.line(setting)?;
        match &line.value {
            Value::Text(text) => Some((text, line)),
            _ => None,
        }
    }

    pub(super) fn texts(&self, setting: Setting) -> Option<(&'a [String], &'a Line)> {
        let line = self.line(setting)?;
        match &line.value {
            Value::Texts(texts) => Some((texts, line)),
            _ => None,
        }
    }

    pub(super) fn flag(&self, setting: Setting) -> Option<bool> {
        match self.line(setting)?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    pub(super) fn number(&self, setting: Setting) -> Option<u32> {
        match self.line(setting)?.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn time(&self, setting: Setting) -> Option<Duration> {
        match self.line(setting)?.value {
            Value::Time(time) => time,
            _ => None,
        }
    }

    pub(super) fn algorithms(&self, setting: Setting) -> Option<AlgorithmList> {
        match &self.line(setting)?.value {
            Value::Algorithms(list) => Some(list.clone()),
            _ => None,
        }
    }

    pub(super) fn hops(&self) -> &'a [Hop] {
        match self.line(Setting::ProxyJump).map(|line| &line.value) {
            Some(Value::Hops(hops)) => hops,
            _ => &[],
        }
    }

    /// `Port`, as far as it is known.
    pub(super) fn port(&self) -> Option<u16> {
        self.port.or_else(|| match self.line(Setting::Port)?.value {
            Value::Port(port) => Some(port),
            _ => None,
        })
    }
}

/// Adds a file that is not there yet.
fn add<'a>(lines: &mut Vec<&'a Line>, line: &'a Line) {
    if !lines.iter().any(|known| known.value == line.value && known.origin.of_user == line.origin.of_user) {
        lines.push(line);
    }
}
