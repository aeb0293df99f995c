//! `lamppost account` and `lamppost token`: who may do what.

use chrono::{Days, Utc};

use super::database::DatabaseArgs;
use super::lang;
use crate::domain::grant::{Grant, Rights};
use crate::domain::text::{Fault, Lang, Text};
use crate::domain::word::Access;
use crate::door;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::dictionary;
use crate::store::token::{Kind, secret};
use crate::text;

/// What can be done with accounts.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Make an account and print its first password, which must be changed at the first sign-in
    New {
        /// Where the register is
        #[command(flatten)]
        database: DatabaseArgs,
        /// The name under which the person's edits are recorded for ever
        name: String,
        /// What it allows
        #[command(flatten)]
        allowed: Allowed,
    },
    /// Change what an account may do; what is not named stays
    Set {
        /// Where the register is
        #[command(flatten)]
        database: DatabaseArgs,
        /// Its name
        name: String,
        /// What it allows
        #[command(flatten)]
        allowed: Allowed,
        /// Let nobody sign in with it any more
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// Let the person sign in again
        #[arg(long)]
        enable: bool,
    },
    /// Give an account a new first password, unlock it and end its sessions
    Reset {
        /// Where the register is
        #[command(flatten)]
        database: DatabaseArgs,
        /// Its name
        name: String,
    },
    /// List all accounts
    List {
        /// Where the register is
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// What somebody may do.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Allowed {
    /// reader, clerk, surveyor, adjudicator or admin
    #[arg(long, value_parser = access)]
    access: Option<Access>,
    /// The party that they work for, by name or code; empty for none
    #[arg(long, value_name = "PARTY")]
    party: Option<String>,
    /// Whether they edit only what has that party in a role, and claim only for it
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    own_party_only: Option<bool>,
    /// The area that they may edit in, by its code; empty for everywhere
    #[arg(long, value_name = "CODE")]
    area: Option<String>,
    /// Restricted classes that they may see, by code, with commas; * for all, empty for none
    #[arg(long, value_name = "CODES")]
    classes: Option<String>,
}

fn access(s: &str) -> Result<Access, String> {
    Access::parse(s).map_err(|t| t.get(lang()).to_owned())
}

impl Allowed {
    /// Changes a grant; every fault at once.
    pub(super) async fn apply(&self, store: &Store, grant: &mut Grant) -> Result<()> {
        let mut faults = Vec::new();
        grant.access = self.access.unwrap_or(grant.access);
        grant.own_party_only = self.own_party_only.unwrap_or(grant.own_party_only);
        match self.party.as_deref() {
            None => {}
            Some("") => grant.party = None,
            Some(name) => match store.party_names().await?.get(name) {
                Some(id) => grant.party = Some(*id),
                None => faults.push(Fault::new(
                    "--party",
                    text!("登记册没有单位“{name}”", "the register has no party \"{name}\""),
                )),
            },
        }
        match self.area.as_deref() {
            None => {}
            Some("") => grant.area = None,
            Some(code) => match store.area_id(code).await? {
                Some(id) => grant.area = Some(id),
                None => faults.push(Fault::new(
                    "--area",
                    text!("没有区划 {code}", "there is no area {code}"),
                )),
            },
        }
        if let Some(codes) = &self.classes {
            match rights(store, codes).await? {
                Ok(rights) => grant.rights = rights,
                Err(detail) => faults.push(Fault::new("--classes", detail)),
            }
        }
        if grant.own_party_only && grant.party.is_none() {
            let detail = Text::new("须同时给出 --party", "it takes a --party");
            faults.push(Fault::new("--own-party-only", detail));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(faults))
        }
    }
}

/// Restricted classes by their codes.
async fn rights(store: &Store, codes: &str) -> Result<Result<Rights, Text>> {
    let mut classes = dictionary::classes(store).await?;
    classes.retain(|c| c.restricted);
    if codes == "*" {
        return Ok(Ok(Rights::to(classes.iter().map(|c| c.id))));
    }
    let mut own = Vec::new();
    for code in codes.split(',').map(str::trim).filter(|c| !c.is_empty()) {
        let named = |scheme: &str, own: &str| code == own || code.split_once('/') == Some((scheme, own));
        let found: Vec<i32> = classes
            .iter()
            .filter(|c| named(&c.scheme, &c.code))
            .map(|c| c.id)
            .collect();
        if found.is_empty() {
            let all: Vec<String> = classes.iter().map(|c| c.code.clone()).collect();
            let all = all.join(", ");
            return Ok(Err(text!(
                "没有受限小类 {code}；有 {all}",
                "there is no restricted class {code}; there are {all}"
            )));
        }
        own.extend(found);
    }
    Ok(Ok(Rights::to(own)))
}

/// Who edits from the terminal.
const ACTOR: &str = "lamppost";

fn no_account(name: &str) -> Error {
    Error::NotFound(text!("没有账号“{name}”", "there is no account \"{name}\""))
}

/// A password that nobody has to keep for long: 80 random bits in letters that are not mistaken for others.
fn first_password() -> Result<String> {
    let random = secret(Kind::Session)?;
    let digits = random.bytes().filter_map(|b| char::from(b).to_digit(16));
    let letters: Vec<char> = digits
        .map(|d| char::from(b"abcdefghkmnpqrst"[d as usize]))
        .take(20)
        .collect();
    Ok(letters
        .chunks(5)
        .map(|c| c.iter().collect::<String>())
        .collect::<Vec<_>>()
        .join("-"))
}

async fn hashed(password: &str) -> Result<String> {
    let own = password.to_owned();
    tokio::task::spawn_blocking(move || door::hash(&own))
        .await
        .map_err(Error::internal)?
}

/// Does it, and prints a new password alone on standard output.
#[allow(clippy::print_stdout)]
pub async fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::New {
            database,
            name,
            allowed,
        } => {
            let name = name.trim().to_owned();
            if name.is_empty() || name.chars().count() > 100 {
                let detail = Text::new("应为 1 至 100 个字符", "should be 1 to 100 characters");
                return Err(Error::syntax("NAME", detail));
            }
            let password = first_password()?;
            database
                .with(async |store| {
                    let mut grant = Grant::of(&name, Access::Reader);
                    allowed.apply(store, &mut grant).await?;
                    let mut edit = store.edit(ACTOR, None).await?;
                    edit.add_account(&grant, &hashed(&password).await?).await?;
                    edit.commit().await
                })
                .await?;
            println!("{password}");
            Ok(())
        }
        Verb::Set {
            database,
            name,
            allowed,
            disable,
            enable,
        } => {
            database
                .with(async |store| {
                    let mut edit = store.edit(ACTOR, None).await?;
                    let (mut grant, disabled) = edit.account(&name).await?.ok_or_else(|| no_account(&name))?;
                    allowed.apply(store, &mut grant).await?;
                    edit.set_account(&grant, disable || disabled && !enable).await?;
                    edit.commit().await
                })
                .await
        }
        Verb::Reset { database, name } => {
            let password = first_password()?;
            database
                .with(async |store| {
                    let mut edit = store.edit(ACTOR, None).await?;
                    if !edit.set_password(&name, &hashed(&password).await?, true, None).await? {
                        return Err(no_account(&name));
                    }
                    edit.commit().await
                })
                .await?;
            println!("{password}");
            Ok(())
        }
        Verb::List { database } => database.with(async |store| list(store).await).await,
    }
}

#[allow(clippy::print_stdout)]
async fn list(store: &Store) -> Result<()> {
    let lang = lang();
    let when =
        |t: Option<chrono::DateTime<Utc>>| t.map_or("-".to_owned(), |t| t.format("%Y-%m-%d %H:%M UTC").to_string());
    for a in store.accounts().await? {
        let mut notes = Vec::new();
        notes.extend(a.party);
        notes.extend(a.area);
        if a.classes > 0 {
            notes.push(lang.pick("受限小类 ", "restricted classes ").to_owned() + &a.classes.to_string());
        }
        if a.disabled {
            notes.push(lang.pick("已停用", "disabled").to_owned());
        }
        if let Some(until) = a.locked_until {
            notes.push(lang.pick("锁定至 ", "locked until ").to_owned() + &when(Some(until)));
        }
        println!("{}\t{}\t{}\t{}", a.name, a.access, when(a.signed_in), notes.join("; "));
    }
    Ok(())
}

/// What can be done with tokens.
#[derive(Debug, clap::Subcommand)]
pub enum TokenVerb {
    /// Make a token for a machine and print it; it is shown this once
    New {
        /// Where the register is
        #[command(flatten)]
        database: DatabaseArgs,
        /// Name under which its edits are recorded
        #[arg(long, default_value = "surveyor")]
        label: String,
        /// What it allows; surveyor where no access is named
        #[command(flatten)]
        allowed: Allowed,
        /// Days after which it ends by itself
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3650))]
        days: Option<u64>,
    },
    /// Make a key for addresses of some layers, as QGIS and Leaflet need them, and print it
    Key {
        /// Where the register is
        #[command(flatten)]
        database: DatabaseArgs,
        /// What it is for
        #[arg(long)]
        label: String,
        /// The layers that it opens, with commas
        #[arg(long, value_delimiter = ',', required = true)]
        layers: Vec<String>,
        /// The pages that may use it, such as https://map.example.cn, with commas; without it any
        #[arg(long, value_delimiter = ',')]
        origins: Vec<String>,
        /// Restricted classes that it shows, by code, with commas
        #[arg(long, value_name = "CODES")]
        classes: Option<String>,
        /// Days after which it ends by itself
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3650))]
        days: Option<u64>,
    },
    /// List all tokens and keys: when each was used last, when it ends
    List {
        /// Where the register is
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Take a token or a key back, at once and on every node
    Revoke {
        /// Where the register is
        #[command(flatten)]
        database: DatabaseArgs,
        /// Its number in the list
        id: i32,
    },
}

fn ends(days: Option<u64>) -> Option<chrono::DateTime<Utc>> {
    days.and_then(|d| Utc::now().checked_add_days(Days::new(d)))
}

/// Does it, and prints a new secret alone on standard output.
#[allow(clippy::print_stdout)]
pub async fn run_token(verb: TokenVerb) -> Result<()> {
    match verb {
        TokenVerb::New {
            database,
            label,
            allowed,
            days,
        } => {
            let make = async |store: &Store| {
                let mut grant = Grant::of(&label, Access::Surveyor);
                allowed.apply(store, &mut grant).await?;
                grant.expires = ends(days);
                store.issue(&grant).await
            };
            println!("{}", database.with(make).await?);
            Ok(())
        }
        TokenVerb::Key {
            database,
            label,
            layers,
            origins,
            classes,
            days,
        } => {
            let known = |id: &&String| crate::tile::layer::get(id).is_none();
            if let Some(id) = layers.iter().find(known) {
                let all: Vec<&str> = crate::tile::layer::all().iter().map(|l| l.id.as_str()).collect();
                let all = all.join(", ");
                let detail = text!("没有图层 {id}；已有 {all}", "there is no layer {id}; there are {all}");
                return Err(Error::syntax("--layers", detail));
            }
            let make = async |store: &Store| {
                let mut grant = Grant::of(&label, Access::Reader);
                let allowed = Allowed {
                    classes,
                    ..Allowed::default()
                };
                allowed.apply(store, &mut grant).await?;
                (grant.layers, grant.origins, grant.expires) = (Some(layers), origins, ends(days));
                store.issue(&grant).await
            };
            println!("{}", database.with(make).await?);
            Ok(())
        }
        TokenVerb::List { database } => database.with(async |store| list_tokens(store).await).await,
        TokenVerb::Revoke { database, id } => {
            database
                .with(async |store| {
                    let mut edit = store.edit(ACTOR, None).await?;
                    if !edit.revoke_token(id).await? {
                        return Err(Error::NotFound(text!(
                            "没有有效的令牌 {id}",
                            "there is no token {id} in force"
                        )));
                    }
                    edit.commit().await
                })
                .await
        }
    }
}

#[allow(clippy::print_stdout)]
async fn list_tokens(store: &Store) -> Result<()> {
    let lang: Lang = lang();
    let day = |t: chrono::DateTime<Utc>| t.format("%Y-%m-%d").to_string();
    for t in store.tokens().await? {
        let kind = match &t.layers {
            Some(layers) => layers.join(","),
            None => t.access,
        };
        let used = t
            .used
            .map_or("-".to_owned(), |t| t.format("%Y-%m-%d %H:%M UTC").to_string());
        let end = match (t.revoked, t.expires) {
            (Some(at), _) => lang.pick("已收回 ", "revoked ").to_owned() + &day(at),
            (_, Some(at)) => lang.pick("至 ", "until ").to_owned() + &day(at),
            _ => String::new(),
        };
        println!("{}\t{}\t{kind}\t{}\t{used}\t{end}", t.id, t.label, day(t.issued));
    }
    Ok(())
}
