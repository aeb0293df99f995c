//! The verbs of the command line.
pub mod account;
pub mod backup;
pub mod database;
pub mod demo;
pub mod export;
pub mod import;
pub mod quality;
pub mod recode;
pub mod serve;
pub mod verify;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use database::DatabaseArgs;

use crate::domain::text::Lang;
use crate::error::{Error, Result};

/// Lamppost: the spatial register of a city's street facilities 城市部件空间登记.
#[derive(Debug, Parser)]
#[command(name = "lamppost", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve the register over HTTP: tiles, lists, edits and the map
    Serve {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        args: serve::Args,
    },
    /// Fill an empty register with a made-up city to try
    Demo {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        args: demo::Args,
    },
    /// Take a delivery in: components, cells, areas, parties, roads, land or classes
    Import {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        args: import::Args,
    },
    /// Write a list of components into a file: XLSX, CSV, GeoJSON, GeoPackage, FlatGeobuf or Shapefile
    Export {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        args: export::Args,
    },
    /// Report how complete and right the register is: counts, rules, and what a second survey of a sample found
    Quality {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        args: quality::Args,
    },
    /// Give areas, cells and components their new codes after a merger or renaming of districts
    Recode {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        args: recode::Args,
    },
    /// Rebuild memory from the database in two ways and compare, and read every document; fails with the differences
    Verify {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Where documents are kept [default: evidence in the data directory]
        #[arg(long, env = "LAMPPOST_EVIDENCE", value_name = "DIR")]
        evidence: Option<PathBuf>,
    },
    /// Copy everything into a directory while the service goes on: database, documents, layers, settings
    Backup {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        args: backup::Args,
    },
    /// Put a backup back into an empty register, and verify it
    Restore {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        args: backup::RestoreArgs,
    },
    /// Accounts of people: make, change, list them
    #[command(subcommand)]
    Account(account::Verb),
    /// Tokens of machines and keys for addresses: make, list, revoke them
    #[command(subcommand)]
    Token(account::TokenVerb),
    /// Bring the database's schema and dictionary up to date and stop
    Migrate {
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

impl Cli {
    /// Does what was asked.
    pub async fn run(self) -> Result<()> {
        match self.verb {
            Verb::Serve { database, args } => serve::run(&database, args).await,
            Verb::Backup { database, args } => backup::run(&database, args).await,
            Verb::Restore { database, args } => backup::restore(&database, args).await,
            Verb::Account(verb) => account::run(verb).await,
            Verb::Token(verb) => account::run_token(verb).await,
            Verb::Demo { database, args } => {
                database
                    .with(async |store| {
                        let done = demo::run(store, &args).await?;
                        eprintln!("{}", done.message.get(lang()));
                        Ok(())
                    })
                    .await
            }
            Verb::Import { database, args } => database.with(async |store| import::run(store, &args).await).await,
            Verb::Export { database, args } => {
                database
                    .with(async |store| export::run(store, &args).await.map(drop))
                    .await
            }
            Verb::Quality { database, args } => database.with(async |store| quality::run(store, &args).await).await,
            Verb::Recode { database, args } => {
                database
                    .with(async |store| recode::run(store, &args).await.map(drop))
                    .await
            }
            Verb::Verify { database, evidence } => {
                let dir = evidence.map_or_else(|| Ok(database.data_dir()?.join("evidence")), Ok::<_, Error>)?;
                database.with(async |store| verify::run(store, &dir).await).await
            }
            Verb::Migrate { database } => database.with(async |_| Ok(())).await,
        }
    }
}

/// The language of the terminal: Chinese where `LANG` or its kin say so, else English.
pub fn lang() -> Lang {
    let set = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_MESSAGES")).or_else(|| set("LANG"));
    if locale.unwrap_or_default().starts_with("zh") {
        Lang::Zh
    } else {
        Lang::En
    }
}

/// An error as the terminal shows it, with what lies behind it.
pub fn explain(error: &Error) -> String {
    let lang = lang();
    match error {
        Error::Setup(t)
        | Error::Conflict(t)
        | Error::NotFound(t)
        | Error::Busy(t)
        | Error::TooLarge(t)
        | Error::Forbidden(t) => t.get(lang).to_owned(),
        Error::Syntax(faults) | Error::Invalid(faults) => {
            let line = |f: &crate::domain::text::Fault| format!("{}: {}", f.pointer, f.detail.get(lang));
            faults.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        Error::Internal(e) => {
            let mut out = e.to_string();
            let mut source = e.source();
            while let Some(e) = source {
                out.push_str(&format!("\n  {e}"));
                source = e.source();
            }
            out
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_a_handover_needs_no_layer() {
        Cli::command().debug_assert();
        let parse = |words: &[&str]| Cli::try_parse_from([&["lamppost", "export", "-o", "x"], words].concat());
        assert!(parse(&[]).is_err() && parse(&["lamps"]).is_ok());
        match parse(&["--all"]).unwrap().verb {
            Verb::Export { args, .. } => assert!(args.all && args.layer == "components"),
            other => panic!("{other:?}"),
        }
        assert!(parse(&["--all", "--class", "0118"]).is_err());
    }
}
