//! `fleetscan generate`: completions and the manual page, from the same definitions as the command line itself.

use clap::{Args, CommandFactory, Subcommand};
use clap_complete::Shell;

use super::error::Error;
use super::{Cli, ExitStatus, print};

/// Print shell completions or the manual page.
#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Completions for a shell, to be sourced or put where it looks for them
    Completions {
        /// The shell
        shell: Shell,
    },
    /// The manual page, in roff: `fleetscan generate man > fleetscan.1`
    Man,
}

impl GenerateArgs {
    pub(super) fn run(self) -> Result<ExitStatus, Error> {
        let mut command = Cli::command();
        let mut bytes = Vec::new();
        match self.what {
            What::Completions { shell } => clap_complete::generate(shell, &mut command, "fleetscan", &mut bytes),
            What::Man => manual(command, &mut bytes).map_err(|error| Error::because("the manual page was not made", error))?,
        }
        print(&String::from_utf8_lossy(&bytes))?;
        Ok(ExitStatus::Clean)
    }
}

/// The page of the program, then that of every subcommand, in one file.
fn manual(command: clap::Command, out: &mut Vec<u8>) -> std::io::Result<()> {
    let subcommands: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    clap_mangen::Man::new(command).render(out)?;
    for subcommand in subcommands {
        let title = format!("fleetscan {}", subcommand.get_name());
        out.extend_from_slice(format!(".SH {}\n", title.to_uppercase()).as_bytes());
        let page = clap_mangen::Man::new(subcommand.bin_name(title));
        page.render_description_section(out)?;
        page.render_options_section(out)?;
    }
    Ok(())
}
