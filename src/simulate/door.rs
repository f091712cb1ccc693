//! What a simulated host wants to see before it lets a login in.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use russh::server::{Auth, Response};
use russh::{MethodKind, MethodSet};

/// The proofs that a host wants, all of these steps in their order (`AuthenticationMethods` of sshd_config), any one of each step.
#[derive(Debug, Clone, Default)]
pub struct Door {
    /// The steps.
    pub steps: Vec<Vec<Proof>>,
    /// Every password and every answer that was given.
    pub heard: Arc<Mutex<Vec<String>>>,
}

/// One proof.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The key of the fleet.
    Key,
    /// `password`.
    Password(String),
    /// `keyboard-interactive`: all of these, one after the other.
    Questions(Vec<Question>),
}

/// One round of questions.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// What is said before.
    pub instructions: String,
    /// The questions, and whether what is typed is shown.
    pub prompts: Vec<(String, bool)>,
    /// The right answers; another ends it.
    pub answers: Vec<String>,
}

impl Question {
    /// One question, nothing shown.
    pub fn secret(prompt: &str, answer: &str) -> Self {
        Self { instructions: String::new(), prompts: vec![(prompt.to_owned(), false)], answers: vec![answer.to_owned()] }
    }
}

impl Door {
    /// A door with these steps.
    pub fn new(steps: Vec<Vec<Proof>>) -> Self {
        Self { steps, heard: Arc::default() }
    }

    /// What was heard so far.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hear(&self, what: &str) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_owned());
    }
}

/// One login at a door.
#[derive(Debug)]
pub(super) struct Visit {
    door: Door,
    step: usize,
    /// The question that was put last.
    question: usize,
}

impl Visit {
    pub(super) fn new(door: Door) -> Self {
        Self { door, step: 0, question: 0 }
    }

    /// What the step at hand would take.
    pub(super) fn methods(&self) -> MethodSet {
        let mut methods = MethodSet::empty();
        for proof in self.door.steps.get(self.step).into_iter().flatten() {
            methods.push(match proof {
                Proof::Key => MethodKind::PublicKey,
                Proof::Password(_) => MethodKind::Password,
                Proof::Questions(_) => MethodKind::KeyboardInteractive,
            });
        }
        methods
    }

    /// The answer to a proof.
    fn judge(&mut self, good: bool) -> Auth {
        if good {
            self.step += 1;
            if self.step >= self.door.steps.len() {
                return Auth::Accept;
            }
        }
        Auth::Reject { proceed_with_methods: Some(self.methods()), partial_success: good }
    }

    pub(super) fn key(&mut self, good: bool) -> Auth {
        let wanted = self.methods().contains(&MethodKind::PublicKey);
        self.judge(good && wanted)
    }

    pub(super) fn none(&mut self) -> Auth {
        self.judge(false)
    }

    pub(super) fn password(&mut self, given: &str) -> Auth {
        self.door.hear(given);
        let proofs = self.door.steps.get(self.step).into_iter().flatten();
        let good = proofs.clone().any(|proof| matches!(proof, Proof::Password(right) if right == given));
        self.judge(good)
    }

    pub(super) fn questions(&mut self, response: Option<Response<'_>>) -> Auth {
        let questions = self.door.steps.get(self.step).into_iter().flatten().find_map(|proof| match proof {
            Proof::Questions(questions) => Some(questions.clone()),
            _ => None,
        });
        let Some(questions) = questions else { return self.judge(false) };
        match response {
            None => self.question = 0,
            Some(response) => {
                let given: Vec<String> = response.map(|answer| String::from_utf8_lossy(&answer).into_owned()).collect();
                given.iter().for_each(|answer| self.door.hear(answer));
                if questions.get(self.question).is_none_or(|question| question.answers != given) {
                    return self.judge(false);
                }
                self.question += 1;
            }
        }
        match questions.get(self.question) {
            None => self.judge(true),
            Some(question) => Auth::Partial {
                name: Cow::Borrowed(""),
                instructions: Cow::Owned(question.instructions.clone()),
                prompts: question.prompts.iter().map(|(prompt, echo)| (Cow::Owned(prompt.clone()), *echo)).collect(),
            },
        }
    }
}
