//! `lamppost token`.

use super::database::DatabaseArgs;
use crate::domain::word::Access;
use crate::error::Result;

/// What can be done with tokens.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Make a token and print it; it is shown this once
    New {
        /// Where the register is
        #[command(flatten)]
        database: DatabaseArgs,
        /// Name under which its edits are recorded
        #[arg(long, default_value = "surveyor")]
        label: String,
        /// What it allows: reader, clerk, surveyor, adjudicator, admin
        #[arg(long, default_value = "surveyor", value_parser = access)]
        access: Access,
    },
}

fn access(s: &str) -> Result<Access, String> {
    Access::parse(s).map_err(|t| t.get(super::lang()).to_owned())
}

/// Prints the new token alone on standard output.
#[allow(clippy::print_stdout)]
pub async fn run(verb: Verb) -> Result<()> {
    let Verb::New {
        database,
        label,
        access,
    } = verb;
    let token = database
        .with(async |store| store.add_token(&label, access).await)
        .await?;
    println!("{token}");
    Ok(())
}
