//! The `lamppost` program.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use lamppost::cli::{Cli, explain};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter =
        EnvFilter::try_from_env("LAMPPOST_LOG").unwrap_or_else(|_| EnvFilter::new("lamppost=info,sqlx=error,warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match cli.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lamppost: {}", explain(&error));
            ExitCode::FAILURE
        }
    }
}
