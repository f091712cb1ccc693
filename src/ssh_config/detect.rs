//! Telling a configuration of OpenSSH from other files.

use super::keywords::{Keyword, keyword};
use super::lexer;

/// Whether a text looks like a configuration of OpenSSH, perhaps one with mistakes: it begins with a keyword of it, a line says `Host` or
/// `Match`, and most lines have known keywords with something behind them.
pub fn looks_like_ssh_config(text: &str) -> bool {
    let mut lines = 0_usize;
    let mut known = 0_usize;
    let mut blocks = 0_usize;
    for line in text.lines() {
        // A section of INI, a list item or a document of YAML.
        if line.starts_with(['[', '-']) {
            return false;
        }
        let Ok(Some(statement)) = lexer::statement(line) else { continue };
        lines += 1;
        match keyword(&statement.keyword).filter(|_| !statement.rest.is_empty()) {
            Some((_, kind)) => {
                known += 1;
                blocks += usize::from(matches!(kind, Keyword::Host | Keyword::Match));
            }
            None if lines == 1 => return false,
            None => {}
        }
    }
    blocks > 0 && known * 4 >= lines * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_recognised_and_other_inventories_are_not() {
        for text in [
            "# mine\nHost web1\n  HostName 192.0.2.1\n",
            "Include config.d/*\n\nHost *\n  User=ops\n",
            "ServerAliveInterval 30\r\nMatch final\r\n\tPort 22\r\n",
            "Host a\n Prot 22\n User x\n Port 22\n",
        ] {
            assert!(looks_like_ssh_config(text), "{text}");
        }
        for text in [
            "",
            "web1\nweb2\n",
            "host\nuser\n",
            "[web]\nhost ansible_user=x\n",
            "web1 ansible_host=192.0.2.1\n",
            "all:\n  hosts:\n    web1:\n",
            "host,port,user\nweb1,22,ops\n",
            "{\"host\": 1}\n",
            "User ops\nPort 22\n",
            "Host a\nweb1\nweb2\nweb3\n",
            "---\nHost: x\n",
        ] {
            assert!(!looks_like_ssh_config(text), "{text}");
        }
    }
}
