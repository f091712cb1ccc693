//! `fleetscan inventory`: an inventory as it is understood.

use clap::{ArgGroup, Args};

use super::args::InventoryArgs;
use super::error::Error;
use super::{ExitStatus, print, warn};
use crate::inventory::{Given, Matched};

/// Show an inventory as it is understood.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["list", "hosts"]))]
pub(super) struct InventoryCommand {
    #[command(flatten)]
    inventory: InventoryArgs,
    /// JSON in the shape of `ansible-inventory --list`
    #[arg(long)]
    list: bool,
    /// The names, one a line
    #[arg(long)]
    hosts: bool,
}

impl InventoryCommand {
    pub(super) fn run(self) -> Result<ExitStatus, Error> {
        let inventory = self.inventory.load()?;
        let Matched { places, warnings } = inventory
            .matching(self.inventory.limit.as_deref())
            .map_err(|error| Error::because("no hosts can be selected", error))?;
        warnings.iter().for_each(|warning| warn(warning));
        // Hosts that can't be scanned are listed like the others, and it is said why they can't.
        inventory.troubles(&places, Given::default()).iter().for_each(|trouble| warn(&trouble.to_string()));
        if self.hosts {
            print(&inventory.names(&places))?;
        } else {
            let json = serde_json::to_string_pretty(&inventory.listing(&places))
                .map_err(|error| Error::because("the inventory cannot be shown as JSON", error))?;
            print(&format!("{json}\n"))?;
        }
        Ok(ExitStatus::Clean)
    }
}
