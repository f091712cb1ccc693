//! What a host asks while it lets a login in, and what it says: a password, a code, a new password.
//!
//! Nothing but a question for the password is answered with the password, so whatever is not understood is not answered. Servers ask in the language that they
//! run in.

/// What a prompt wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// The password of the login.
    Password,
    /// A proof that only a person has: a code, a touch.
    SecondFactor,
    /// A password that is no longer good, or a new one.
    NewPassword,
    /// Something that is not understood.
    Other,
}

/// Sentences of PAM, OpenSSH and others that say that the password must be changed before anything else. Narrow enough for a message of the day, which may say when
/// it will have to be.
const EXPIRED: &[&str] = &[
    "password has expired",
    "password is expired",
    "password expired",
    "password change required",
    "password change is required",
    "required to change your password",
    "must change your password now",
    "must change your password before",
    "must change your password and",
    "you must change your password.",
    "need to change your password",
    "change your password immediately",
    "change your expired password",
    "password must be changed",
];

/// Questions that only the change of a password asks.
const CHANGE: &[&str] = &[
    "current password",
    "old password",
    "new password",
    "retype",
    "(current)",
    "new unix password",
    "current unix password",
    "changing password",
];

/// Words of second factors: TOTP, Duo, RSA SecurID, YubiKey, S/Key.
const FACTOR: &[&str] = &[
    "verification",
    "code",
    "token",
    "one-time",
    "one time",
    "onetime",
    "otp",
    "passcode",
    "authenticator",
    "2fa",
    "mfa",
    "two-factor",
    "first factor",
    "second factor",
    "duo",
    "yubikey",
    "securid",
    "challenge",
    "security key",
    "touch",
    "s/key",
    "response",
    "pin",
];

/// The word for a password where PAM has been translated, and what such a word is part of.
const PASSWORD: &[&str] = &[
    "password",
    "passwort",
    "kennwort",
    "mot de passe",
    "contraseña",
    "senha",
    "palavra-passe",
    "wachtwoord",
    "lösenord",
    "adgangskode",
    "passord",
    "salasana",
    "hasło",
    "heslo",
    "jelszó",
    "parola",
    "şifre",
    "пароль",
    "κωδικός πρόσβασης",
    "密码",
    "密碼",
    "口令",
    "パスワード",
    "암호",
    "비밀번호",
];

/// The line of a text that says that the password has to be changed first.
pub(in crate::ssh) fn password_expired(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| contains(&line.to_lowercase(), EXPIRED))
}

/// What a prompt wants, with what was said before it in the same breath.
pub(super) fn wants(prompt: &str, echo: bool, instructions: &str) -> Wants {
    let lower = prompt.to_lowercase();
    if contains(&lower, CHANGE) || password_expired(prompt).is_some() || password_expired(instructions).is_some() {
        return Wants::NewPassword;
    }
    if is_factor(&lower) {
        return Wants::SecondFactor;
    }
    // A password is never shown while it is typed; a name or a code is.
    if !echo && contains(&lower, PASSWORD) {
        return Wants::Password;
    }
    if echo || is_factor(&instructions.to_lowercase()) { Wants::SecondFactor } else { Wants::Other }
}

fn contains(lower: &str, sentences: &[&str]) -> bool {
    sentences.iter().any(|sentence| lower.contains(sentence))
}

/// Words are whole words: "pin" is not in "typing". `code` and `otp` have others grown onto them (`passcode`, `otp-md5`).
fn is_factor(lower: &str) -> bool {
    FACTOR.iter().any(|factor| {
        lower.match_indices(factor).any(|(at, _)| {
            let edge = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
            let (before, after) = (lower.get(..at).unwrap_or_default(), lower.get(at + factor.len()..).unwrap_or_default());
            edge(before.chars().next_back()) && (edge(after.chars().next()) || after.starts_with('s'))
        })
    })
}

/// A text of a host in one line, no longer than a report needs.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > LONGEST { line.chars().take(LONGEST).chain(['…']).collect() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_of_real_modules_are_understood() {
        for (prompt, echo, wants_what) in [
            // pam_unix, pam_sss, pam_ldap, dropbear, OpenSSH's own, FreeBSD, Cisco, macOS.
            ("Password: ", false, Wants::Password),
            ("Password:", false, Wants::Password),
            ("(alice@db1) Password: ", false, Wants::Password),
            ("LDAP Password: ", false, Wants::Password),
            ("Password for alice@db1:", false, Wants::Password),
            ("alice@db1's password: ", false, Wants::Password),
            ("UNIX password: ", false, Wants::Password),
            ("Passwort: ", false, Wants::Password),
            ("Mot de passe : ", false, Wants::Password),
            ("Пароль: ", false, Wants::Password),
            ("パスワード: ", false, Wants::Password),
            // pam_google_authenticator, pam_oath, pam_duo, pam_yubico, RSA SecurID, pam_opie, privacyIDEA, pam_u2f, SSSD.
            ("Verification code: ", false, Wants::SecondFactor),
            ("Password & verification code: ", false, Wants::SecondFactor),
            ("One-time password (OATH) for `alice': ", false, Wants::SecondFactor),
            ("Passcode or option (1-3): ", true, Wants::SecondFactor),
            ("YubiKey for `alice': ", false, Wants::SecondFactor),
            ("Enter PASSCODE: ", false, Wants::SecondFactor),
            ("otp-md5 498 fr9321 ext\nPassword: ", false, Wants::SecondFactor),
            ("Enter your PIN: ", false, Wants::SecondFactor),
            ("Please touch the device.", false, Wants::SecondFactor),
            ("First Factor: ", false, Wants::SecondFactor),
            ("Second Factor (optional): ", false, Wants::SecondFactor),
            ("Enter the 6 digits: ", true, Wants::SecondFactor),
            // pam_unix, pam_sss, pam_ldap when the password has expired.
            ("Current password: ", false, Wants::NewPassword),
            ("(current) UNIX password: ", false, Wants::NewPassword),
            ("Current Password: ", false, Wants::NewPassword),
            ("New password: ", false, Wants::NewPassword),
            ("Retype new password: ", false, Wants::NewPassword),
            (
                "You are required to change your password immediately (administrator enforced).\nCurrent password: ",
                false,
                Wants::NewPassword,
            ),
            ("Old Password: ", false, Wants::NewPassword),
            // Not understood, and so not answered.
            ("Store number: ", false, Wants::Other),
            ("Do you accept the terms? ", false, Wants::Other),
            ("", false, Wants::Other),
            ("Keep typing", false, Wants::Other),
        ] {
            assert_eq!(wants(prompt, echo, ""), wants_what, "{prompt}");
        }
    }

    #[test]
    fn a_password_that_would_be_shown_is_never_typed() {
        assert_ne!(wants("Password: ", true, ""), Wants::Password);
        assert_ne!(wants("Mot de passe : ", true, ""), Wants::Password);
    }

    #[test]
    fn what_is_said_before_a_prompt_counts() {
        assert_eq!(wants("Password: ", false, "Your password has expired."), Wants::NewPassword);
        assert_eq!(wants("Response: ", false, ""), Wants::SecondFactor);
        assert_eq!(wants("> ", false, "Enter the code from your authenticator"), Wants::SecondFactor);
        assert_eq!(wants("Password: ", false, "Authorised users only. Enter your token at the gate."), Wants::Password);
    }

    #[test]
    fn an_expired_password_is_told_from_one_that_will_be() {
        for text in [
            "WARNING: Your password has expired.\nPassword change required but no TTY available.\n",
            "You are required to change your password immediately (administrator enforced).",
            "You are required to change your password immediately (password expired).",
            "You must change your password now and login again!",
            "You must change your password.",
            "Password expired. Change your password now.",
            "Your password must be changed",
        ] {
            assert!(password_expired(text).is_some(), "{text}");
        }
        for text in [
            "Warning: your password will expire in 5 days.",
            "You must change your password every 90 days.",
            "Welcome. Keep your password to yourself.",
            "Last login: Mon Jan  5",
            "",
        ] {
            assert_eq!(password_expired(text), None, "{text}");
        }
        assert_eq!(
            password_expired("hello\n  WARNING: Your password has expired.\r\nbye"),
            Some("WARNING: Your password has expired.")
        );
    }

    #[test]
    fn a_long_text_is_cut_and_one_of_several_lines_is_one() {
        assert_eq!(shown(" a\r\n  b\t"), "a b");
        assert_eq!(shown(&"é".repeat(500)).chars().count(), 201);
    }
}
