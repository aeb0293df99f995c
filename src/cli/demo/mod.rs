//! `lamppost demo`.
/// x
#[derive(Debug, clap::Args)]
pub struct Args {}
/// x
pub async fn run(_s: &crate::store::Store, _a: &Args) -> crate::error::Result<()> { Ok(()) }
