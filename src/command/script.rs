//! How the commands run: the one script that a session can run, and how it comes by the rights of root.
//!
//! What a login may do is known on the host only, so the script itself chooses, the cheapest way first: nothing for root; one shell of root's for all
//! commands, where sudo or doas gives one; else each command by itself, word for word the same each time, so that a rule can name it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{ReadOnlyCommand, Rights, quote};
use crate::model::{BecomeMethod, Host, Secret};

/// One question of the script: a command, its name and how long it may take on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// A stable word (`a-z`, `0-9`, `-`): names the answer in recordings.
    pub id: String,
    /// What runs.
    pub command: ReadOnlyCommand,
    /// The time limit on the host.
    pub limit: Duration,
}

/// The limit of a step that says nothing else.
pub const STEP_LIMIT: Duration = Duration::from_secs(10);

impl Step {
    /// A step with the usual limit.
    pub fn new(id: impl Into<String>, command: ReadOnlyCommand) -> Self {
        Self { id: id.into(), command, limit: STEP_LIMIT }
    }

    /// The same with another limit.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }
}

/// The id under which a script answers by which rights it asked the steps that need root. No step has it.
pub const PRIVILEGE: &str = "privilege";

/// Whether a script may become root for the steps that need it, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Become {
    /// Use what the login has.
    No,
    /// By sudo, with a password where it wants one and there is one; `or_doas`: by doas where there is no sudo.
    Sudo {
        /// Whether the host may ask for a password.
        password: bool,
        /// Whether doas will do.
        or_doas: bool,
    },
    /// By doas, which takes a password from a terminal only: rules with `nopass` are of use.
    Doas,
}

impl Become {
    /// By this program, or by whichever of the two a host has.
    pub fn by(method: Option<BecomeMethod>, password: bool) -> Self {
        match method {
            None => Self::Sudo { password, or_doas: true },
            Some(BecomeMethod::Sudo) => Self::Sudo { password, or_doas: false },
            Some(BecomeMethod::Doas) => Self::Doas,
        }
    }

    /// By what the login of a host may become root. What the inventory says of the host counts before what is said for all hosts.
    pub fn of(host: &Host, become_root: bool, method: Option<BecomeMethod>, password: bool) -> Self {
        match host.become_root.unwrap_or(become_root) {
            true => Self::by(host.become_method.or(method), password),
            false => Self::No,
        }
    }

    /// Whether the script may ask for a password.
    pub fn asks_for_password(self) -> bool {
        matches!(self, Self::Sudo { password: true, .. })
    }

    /// The programs to look for, in this order.
    fn programs(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Sudo { or_doas: true, .. } => "sudo doas",
            Self::Sudo { or_doas: false, .. } => "sudo",
            Self::Doas => "doas",
        }
    }
}

/// The two streams of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The one thing a session can run: a POSIX sh script for `/bin/sh -s`, made of read-only steps only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    nonce: String,
    text: String,
    steps: Vec<Step>,
    with: Become,
}

/// What comes first: without options that some shells take from the environment (SHELLOPTS), which would export everything, functions too, or change what
/// follows.
const OPTIONS: &str = "set +aefuvx\n";

/// What both shells know, the login's and root's. No `'` in it: it stands between two. `@NONCE@` is replaced.
///
/// Frames: `\n@NONCE B ID` on both streams before a step, `\n@NONCE E ID EXIT STATE` on both after it, `\n@NONCE Z` on both at the end; `\n@NONCE P ask`
/// where the script waits for the password, and `\n@NONCE P WORD` when sudo has looked at it: `asked` where it took it, `rejected`, and `unasked` or `refused`
/// where it went on or stopped without. The nonce is random, comes over the encrypted channel and is in no argument, no environment and no file, so nothing
/// that a command prints can contain it. For the same reason only commands of the shell itself handle it: printf is a program in some.
///
/// `docker info` asks each plugin of the client what it is: those of the login's home, which anybody may have put there, are out of its sight.
///
/// What a login exports by one of our names would stay exported with our value: such names are unset first.
///
/// V is what stands before a command to make it root's, empty where there is nothing of the kind; W the password, empty where none is needed.
const SHARED: &str = r#"unset N W V T
N=@NONCE@
LC_ALL=C LANG=C LANGUAGE=C TZ=UTC0
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin:/opt/bin
DOCKER_CONFIG=/nonexistent
export LC_ALL LANG LANGUAGE TZ PATH DOCKER_CONFIG
unset ENV BASH_ENV CDPATH GREP_OPTIONS GREP_COLORS POSIXLY_CORRECT DOCKER_HOST DOCKER_CONTEXT DOCKER_API_VERSION DOCKER_TLS_VERIFY IFS ROOT
umask 077
cd /
U=$(id -u 2>/dev/null) || U=
V= W= D=
[ "$U" = 0 ] || { [ -w /run/docker.sock ] && D=1; }
T=
timeout -k 2 5 true >/dev/null 2>&1 </dev/null && T="timeout -k 2"
[ -n "$T" ] || { timeout -t 5 true >/dev/null 2>&1 </dev/null && T="timeout -t"; }
# That of coreutils ends all that a fragment started; others end its shell only.
G=
case $(timeout --version 2>/dev/null </dev/null) in *coreutils*) G=1 ;; esac
mark() {
echo "
@$N $*"
echo "
@$N $*" >&2
}
# raised PROGRAM WORDS...: as root.
raised() {
if [ -n "$W" ]; then say "$W" | sudo -k -S -p "" -- "$@"
else $V -- "$@"
fi
}
# watch LIMIT KIND COMMAND...: the command with a limit of our own, where there is no timeout(1) or where it could not end a process of root.
watch() {
X= l=$1 m=$2
shift 2
trap "X=1" USR1
( trap "kill \$s 2>/dev/null; exit" TERM; sleep "$l" & s=$!; wait "$s"; kill -USR1 $$ ) >/dev/null 2>&1 </dev/null &
w=$!
case $m in
rooted) ( shift 2; t=$1 ROOT=raised; shift 2; eval "$t" ) </dev/null & ;;
program)
if [ -n "$W" ]; then say "$W" | sudo -k -S -p "" -- "$@" &
else $V -- "$@" </dev/null &
fi ;;
*) "$@" </dev/null & ;;
esac
p=$!
wait "$p"
c=$?
if [ -n "$X" ]; then
kill "$p" 2>/dev/null || X=stuck
sleep 1
# sudo passes the first on to its command; killed itself, it would leave the command behind.
[ -n "$m" ] || kill -9 "$p" 2>/dev/null
fi
kill "$w" 2>/dev/null
wait "$w" 2>/dev/null
trap - USR1
}
# ask ID LIMIT RIGHTS KIND PROGRAM WORDS...
ask() {
i=$1 l=$2 r=$3 k=$4 g=$5
shift 5
mark B "$i"
v=
if [ "$U" != 0 ] && [ "$r" != any ] && { [ "$r" != docker ] || [ -z "$D" ]; }; then
v=$k
if [ -z "$V" ] || [ "$k" = plain ]; then
mark E "$i" 0 needs_root
return
fi
fi
if ! a=$(command -v "$g" 2>/dev/null); then
mark E "$i" 127 missing
return
fi
X= p=
if [ "$k" = program ]; then
shift
set -- "$a" "$@"
fi
if [ -n "$v" ] || [ -z "$T" ]; then watch "$l" "$v" "$@"
else
$T "$l" "$@" </dev/null
c=$?
case $c in 124|137|143) X=1 ;; esac
fi
if [ -z "$X" ]; then
mark E "$i" "$c" done
return
fi
mark E "$i" "$c" timed_out
# What could not be ended might still print into a later answer: stop asking. Of a fragment, nobody knows what it left behind as root, or without coreutils.
if [ "$X" = stuck ] || { [ -z "$G" ] && [ "$k" != program ]; } || [ "$v" = rooted ] || { [ -n "$p" ] && kill -0 "$p" 2>/dev/null; }; then
mark Z stuck
exit 0
fi
}
"#;

/// How the login's shell comes by the rights of root for the steps in R, and who asks those in O, which any login may. `@PROGRAMS@`, `@PASSWORD@` and `@ROOT@`
/// are replaced.
///
/// Everything is asked in one shell of root's, where the login may have one, so that nothing stays hidden that root could see: by way of a pipe, since what
/// sudo is given to run can be seen by every user. `exec` in it fails where the rules say noexec, before anything was asked. Else O is asked here, and then R,
/// each command with sudo of its own.
///
/// The password is asked for once, where sudo doesn't go without, nor has rules of which none wants it, and tried once: every further try, and even an end of input in its place, would count against
/// the account (pam_faillock), so sudo is ended when it asks again. It is read from what the client holds open, and comes twice: once for sudo, once for
/// us. `-p` is no secret, and a prompt of PAM's own does no harm. Where sudo goes without a password after all, `read` takes the line that it left.
const RISE: &str = r#"H=
case $(command -v printf) in
printf) H=1; say() { printf '%s\n' "$1"; } ;;
*) case $(command -v print) in print) H=1; say() { print -r -- "$1"; } ;; esac ;;
esac
# whole: the script for root's shell.
whole() {
say 'set +aefuvx'
say "$F"
say 'root() {
[ "$U" = 0 ] || exit 85'
say "echo ${b}_shell
mark E privilege 0 done"
say "$O"
say "$R"
say '}
root </dev/null; exit 86'
}
# ended STATUS: true where a shell of root's asked everything, false where there was none. One that did not come to its end may still be there.
ended() {
case $1 in
86) return 0 ;;
1|85|126|127) return 1 ;;
esac
mark Z stuck
exit 0
}
# heard: what sudo says to the password, passed on; at its second question it is ended. A prompt of PAM's stands before what follows it.
heard() {
read -r q
n=0
while IFS= read -r x; do
case $x in
fleetscan|'[sudo: fleetscan') n=$((n + 1)) ;;
*'try again'*) n=2; say "$x" ;;
*?fleetscan-accepted) n=1; say "$x" ;;
*) say "$x" ;;
esac
[ "$n" -lt 2 ] || kill -9 "$q" 2>/dev/null
done
case $n in 0) say unasked ;; 1) say asked ;; *) say rejected ;; esac
}
# spared: true where sudo goes without the password whatever the command, or has rules of which none wants it.
spared() {
case $e in 126|127) return 0 ;; esac
x=$(sudo -k -n -l 2>/dev/null </dev/null) || return 1
case $x in *' PASSWD:'*) return 1 ;; esac
while :; do
case $x in
*'
    ('*)
x=${x#*'
    ('}
case ${x%%'
'*} in *NOPASSWD:*) ;; *) return 1 ;; esac ;;
*) return 0 ;;
esac
done
}
# password: true where sudo gave a shell for it, and all was asked in that.
password() {
if [ -z "$H" ]; then
echo no_builtin
return 1
fi
mark P ask
IFS= read -r W <&3 || W=
if [ -z "$W" ]; then
echo no_password
return 1
fi
o=$({ /bin/sh -c 'echo "$$"; exec sudo -k -S -p "fleetscan
" -- /bin/sh -c "echo fleetscan-accepted; exec id"' <&3 2>&1 | heard; } 2>/dev/null)
say "$o" >&2
case $o in
*rejected|*'ncorrect password'*) o=rejected ;;
*'uid=0('*)
mark P "${o##*[!a-z]}"
{ say "$W"; say ''; whole; } 2>/dev/null | sudo -k -S -p '' -- /bin/sh -c 'unset x; read -r x; exec /bin/sh -s'
ended $? && return
return 1 ;;
*fleetscan-accepted*|*'is not allowed to execute'*|*'is not in the sudoers'*|*' may not run sudo'*)
mark P "${o##*[!a-z]}"
return 1 ;;
*) o=refused ;;
esac
W=
mark P "$o"
echo "$o"
return 1
}
# rise: asks the steps in O and in R.
rise() {
if [ "$U" = 0 ] || { [ -n "$D" ] && [ @ROOT@ = no ]; }; then
eval "$O"
eval "$R"
return
fi
mark B privilege
b=
for m in @PROGRAMS@; do
if command -v "$m" >/dev/null 2>&1; then
b=$m
break
fi
done
case $b in
sudo) V='sudo -k -n' ;;
doas) V='doas -n' ;;
esac
if [ -z "$b" ]; then
echo missing
else
e=
if [ -n "$H" ]; then
whole 2>/dev/null | $V -- /bin/sh -c 'exec /bin/sh -s'
e=$?
ended $e && return
fi
if [ "$b" = sudo ] && [ @PASSWORD@ = yes ] && ! spared && password; then return; fi
echo "$b"
fi
mark E privilege 0 done
eval "$O"
eval "$R"
}
"#;

impl Script {
    /// A script of these steps. `nonce` must be fresh and unguessable: letters and digits, at least 16 of them.
    ///
    /// # Panics
    /// When the nonce is not made of at least 16 letters and digits: a fault of the caller, not of any input.
    pub fn new(nonce: &str, steps: &[Step], with: Become) -> Self {
        assert!(nonce.len() >= 16 && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()), "a nonce of letters and digits");
        let shared = SHARED.replace("@NONCE@", nonce);
        let needs_root = |step: &&Step| step.command.rights() != Rights::Any;
        let with = if steps.iter().any(|step| needs_root(&step)) { with } else { Become::No };
        let asked = |steps: &mut dyn Iterator<Item = &Step>, quote: fn(&str) -> String| -> String {
            steps.map(|step| ask(step, quote)).collect()
        };
        // The main part is one function, so that a script cut off on its way never runs in part.
        let text = if with == Become::No {
            let all = asked(&mut steps.iter(), quote);
            format!("{OPTIONS}main() {{\n{shared}{all}mark Z end\n}}\nmain </dev/null; exit 0\n")
        } else {
            // Fragments last: one that cannot be ended is the end of all that follow.
            let fragment = |step: &&Step| step.command.kind() != "program";
            let mut rooted: Vec<&Step> = steps.iter().filter(needs_root).collect();
            rooted.sort_by_key(fragment);
            let root = if rooted.iter().any(|step| step.command.rights() == Rights::Root) { "yes" } else { "no" };
            let (own, others): (Vec<&Step>, Vec<&Step>) =
                steps.iter().filter(|step| !needs_root(step)).partition(|step| step.command.is_about_the_login());
            let own = asked(&mut own.into_iter(), quote);
            let within = |steps: Vec<&Step>| asked(&mut steps.into_iter(), quote_within).replace('\'', r"'\''");
            let (others, rooted) = (within(others), within(rooted));
            let password = if with.asks_for_password() { "yes" } else { "no" };
            let rise = RISE.replace("@PROGRAMS@", with.programs()).replace("@PASSWORD@", password).replace("@ROOT@", root);
            let streams = if with.asks_for_password() { "3<&0 </dev/null" } else { "</dev/null" };
            format!(
                "{OPTIONS}unset F O R\nF='\n{shared}'\nO='\n{others}'\nR='\n{rooted}'\nmain() {{\neval \"$F\"\n{rise}{own}rise\nmark Z end\n}}\n\
                 main {streams}; exit 0\n"
            )
        };
        Self { nonce: nonce.to_owned(), text, steps: steps.to_vec(), with }
    }

    /// The word that marks the frames of its answer.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// What is sent to the standard input of `/bin/sh -s`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// By what it may become root.
    pub fn with(&self) -> Become {
        self.with
    }
}

/// The line of a step.
fn ask(step: &Step, quote: fn(&str) -> String) -> String {
    let Step { id, command, limit } = step;
    let words: Vec<String> = command.words().iter().map(|word| quote(word)).collect();
    format!(
        "ask {} {} {} {} {} {}\n",
        quote(id),
        limit.as_secs().max(1),
        command.rights().as_str(),
        command.kind(),
        command.program(),
        words.join(" ")
    )
}

/// A word in quoting that survives between two `'`, and can be read there.
fn quote_within(word: &str) -> String {
    if quote(word) == word {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in word.chars() {
        if matches!(letter, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

/// What is said to a host: the script, and the password where the script asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Conversation<'a> {
    /// The script.
    pub script: &'a Script,
    /// The password that sudo may be given.
    pub password: Option<&'a Secret>,
    /// What other hosts said to the same password, where there are any.
    pub trial: Option<&'a Trial>,
}

/// Nothing but a script.
impl<'a> From<&'a Script> for Conversation<'a> {
    fn from(script: &'a Script) -> Self {
        Self { script, password: None, trial: None }
    }
}

/// How long the password may be looked at before standard input is closed, which ends a sudo that waits for another one without our script having noticed.
pub const PASSWORD_LIMIT: Duration = Duration::from_secs(20);

/// How often to look whether the password may be sent.
pub const PASSWORD_PAUSE: Duration = Duration::from_millis(50);

/// What to say to a host that asks for the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// This.
    Say(Vec<u8>),
    /// Nothing yet: another host has not yet said what it thinks of it.
    Wait,
}

/// One conversation as it goes on: listens for the script's question, and has the answer.
#[derive(Debug)]
pub struct Exchange<'a> {
    conversation: Conversation<'a>,
    mark: Vec<u8>,
    state: Mutex<Heard>,
}

/// What was heard so far.
#[derive(Debug, Default)]
struct Heard {
    /// The end of it, as far as it may be the beginning of a mark.
    tail: Vec<u8>,
    /// With which turn the password was sent, as long as nothing was heard of it since; every turn is 0 where no other host waits for this one.
    on_trial: Option<u64>,
}

impl<'a> Exchange<'a> {
    /// The beginning of a conversation.
    pub fn new(conversation: Conversation<'a>) -> Self {
        let mark = format!("\n@{} P ", conversation.script.nonce).into_bytes();
        Self { conversation, mark, state: Mutex::default() }
    }

    /// Whether the script may ask.
    pub fn may_ask(&self) -> bool {
        self.conversation.password.is_some() && self.conversation.script.with.asks_for_password()
    }

    /// Takes a piece of standard output, wherever it begins and ends; true where the script asks in it.
    pub fn hears(&self, bytes: &[u8]) -> bool {
        let mut state = lock(&self.state);
        state.tail.extend_from_slice(bytes);
        let mut asked = false;
        while let Some(at) = state.tail.windows(self.mark.len()).position(|window| window == self.mark) {
            let begin = at + self.mark.len();
            let Some(length) = state.tail[begin..].iter().position(|byte| *byte == b'\n') else {
                // The word is still to come; no word of ours is longer.
                state.tail.drain(..at);
                if state.tail.len() > self.mark.len() + 16 {
                    state.tail.drain(..1);
                }
                return asked;
            };
            match &state.tail[begin..begin + length] {
                b"ask" => asked = true,
                b"asked" => self.settle(&mut state, Some(true)),
                b"rejected" => self.settle(&mut state, Some(false)),
                b"unasked" | b"refused" => self.settle(&mut state, None),
                _ => {}
            }
            state.tail.drain(..begin + length);
        }
        let keep = self.mark.len() - 1;
        let surplus = state.tail.len().saturating_sub(keep);
        state.tail.drain(..surplus);
        asked
    }

    /// What to say when the script has asked.
    ///
    /// Nothing is sent before it asks: what comes early would be taken for a part of the script by a shell that reads ahead.
    pub fn reply(&self) -> Reply {
        let password = self.conversation.password.map(Secret::reveal).unwrap_or_default();
        let (password, turn) = match self.conversation.trial.map_or(Turn::Go(0), Trial::enter) {
            Turn::Go(turn) => (password, turn),
            Turn::Wait => return Reply::Wait,
            Turn::Never => ("", 0),
        };
        lock(&self.state).on_trial = Some(turn).filter(|_| !password.is_empty());
        Reply::Say(format!("{password}\n{password}\n").into_bytes())
    }

    fn settle(&self, state: &mut Heard, accepted: Option<bool>) {
        if let (Some(turn), Some(trial)) = (state.on_trial.take(), self.conversation.trial) {
            trial.settle(turn, accepted);
        }
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        // Or all others would wait for a host that is gone.
        let mut state = std::mem::take(&mut *lock(&self.state));
        self.settle(&mut state, None);
    }
}

/// One password before several hosts. It is tried on one at a time until one has accepted it, and no more after a few have not: where the hosts share their
/// accounts (LDAP, Active Directory), a slip of the finger sent to all of them at once would lock the account.
#[derive(Debug, Default)]
pub struct Trial(Mutex<Standing>);

#[derive(Debug, Default)]
struct Standing {
    accepted: bool,
    rejections: u32,
    /// Turns that were given.
    turns: u64,
    /// Since when it is before a host, where it is: the one that has the last turn.
    since: Option<Instant>,
}

/// How many hosts may reject a password that none has accepted.
const REJECTIONS: u32 = 3;

/// How long all others wait for one host.
const TRIAL_LIMIT: Duration = Duration::from_secs(10);

enum Turn {
    Go(u64),
    Wait,
    Never,
}

impl Trial {
    fn enter(&self) -> Turn {
        let mut standing = lock(&self.0);
        match standing.since {
            _ if standing.accepted => Turn::Go(0),
            _ if standing.rejections >= REJECTIONS => Turn::Never,
            Some(since) if since.elapsed() < TRIAL_LIMIT => Turn::Wait,
            _ => {
                standing.since = Some(Instant::now());
                standing.turns += 1;
                Turn::Go(standing.turns)
            }
        }
    }

    fn settle(&self, turn: u64, accepted: Option<bool>) {
        let mut standing = lock(&self.0);
        // A host that was given up waiting for does not end the turn of the one that came after it.
        if turn == standing.turns {
            standing.since = None;
        }
        match accepted {
            Some(true) => standing.accepted = true,
            Some(false) => standing.rejections += 1,
            None => {}
        }
    }
}

/// What a thread that panicked left is still right: nothing here is changed in two steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Program;

    #[test]
    fn what_stands_between_quotes_has_none() {
        assert!(!SHARED.contains('\''), "SHARED is the value of F, between two of them");
        assert_eq!(quote_within("/etc/shadow"), "/etc/shadow");
        assert_eq!(quote_within(r#"a "b" $c `d` \ e"#), r#""a \"b\" \$c \`d\` \\ e""#);
        assert_eq!(quote_within(""), "\"\"");
    }

    const NONCE: &str = "0123456789abcdef";

    fn script(rights: Rights) -> Script {
        let step = Step::new("one", ReadOnlyCommand::new(Program::Cat, &["/one"], rights).expect("permitted"));
        Script::new(NONCE, &[step], Become::Sudo { password: true, or_doas: true })
    }

    fn said(password: &str) -> Reply {
        Reply::Say(format!("{password}\n{password}\n").into_bytes())
    }

    #[test]
    fn a_script_that_needs_no_root_never_asks_for_a_password() {
        let secret = Secret::new("a b");
        let may_ask = |rights, password| {
            let script = script(rights);
            Exchange::new(Conversation { script: &script, password, trial: None }).may_ask()
        };
        assert!(!may_ask(Rights::Any, Some(&secret)));
        assert!(!may_ask(Rights::Root, None));
        assert!(may_ask(Rights::Root, Some(&secret)));
    }

    #[test]
    fn the_question_is_heard_wherever_a_piece_of_output_ends_and_nothing_like_it_is() {
        let script = script(Rights::Root);
        let secret = Secret::new("a b");
        let conversation = Conversation { script: &script, password: Some(&secret), trial: None };
        let text = b"motd\n\n@0123456789abcdef P ask\nmore";
        for at in 0..text.len() {
            let exchange = Exchange::new(conversation);
            let heard = [exchange.hears(&text[..at]), exchange.hears(&text[at..])];
            assert!(heard[0] != heard[1], "cut at {at}");
        }
        let exchange = Exchange::new(conversation);
        assert_eq!(text.iter().filter(|byte| exchange.hears(&[**byte])).count(), 1);
        let exchange = Exchange::new(conversation);
        assert!(!exchange.hears(b"\n@fedcba9876543210 P ask\n\n@0123456789abcdef P asks\n\n@0123456789abcdef P as"));
        assert!(!exchange.hears(&b"k".repeat(100)));
        assert!(!exchange.hears(b"\n@0123456789abcdef B one\nP ask\n"));
        assert!(exchange.hears(b"\n@0123456789abcdef P ask\n"));
        assert_eq!(exchange.reply(), said("a b"));
    }

    #[test]
    fn a_password_is_before_one_host_at_a_time_until_one_accepts_it() {
        let script = script(Rights::Root);
        let (secret, trial) = (Secret::new("p"), Trial::default());
        let host = || Exchange::new(Conversation { script: &script, password: Some(&secret), trial: Some(&trial) });
        let verdict = |word: &str| format!("\n@{NONCE} P {word}\n").into_bytes();
        let (first, second) = (host(), host());
        assert_eq!((first.reply(), second.reply()), (said("p"), Reply::Wait));
        // A host that is lost has no opinion.
        drop(first);
        assert_eq!(second.reply(), said("p"));
        second.hears(&verdict("rejected"));
        let third = host();
        assert_eq!(third.reply(), said("p"));
        third.hears(&verdict("unasked"));
        let fourth = host();
        assert_eq!((fourth.reply(), host().reply()), (said("p"), Reply::Wait));
        fourth.hears(&verdict("asked"));
        let others = [host(), host()];
        assert!(others.iter().all(|host| host.reply() == said("p")));
        // One that has another password does not take it from the rest.
        others.iter().for_each(|host| assert!(!host.hears(&verdict("rejected"))));
        assert!((0..5).all(|_| host().reply() == said("p")));
    }

    #[test]
    fn a_host_that_answers_after_its_turn_does_not_end_that_of_another() {
        let trial = Trial::default();
        let Turn::Go(first) = trial.enter() else { panic!("nobody was before it") };
        lock(&trial.0).since = Instant::now().checked_sub(TRIAL_LIMIT);
        let Turn::Go(second) = trial.enter() else { panic!("the first has had its time") };
        trial.settle(first, None);
        assert!(matches!(trial.enter(), Turn::Wait), "the second has not answered");
        trial.settle(second, None);
        assert!(matches!(trial.enter(), Turn::Go(_)));
    }

    #[test]
    fn a_password_that_nobody_accepts_is_kept_from_the_rest() {
        let script = script(Rights::Root);
        let (secret, trial) = (Secret::new("p"), Trial::default());
        let host = || Exchange::new(Conversation { script: &script, password: Some(&secret), trial: Some(&trial) });
        for _ in 0..REJECTIONS {
            let host = host();
            assert_eq!(host.reply(), said("p"));
            host.hears(format!("\n@{NONCE} P rejected\n").as_bytes());
        }
        assert_eq!(host().reply(), said(""));
    }
}
