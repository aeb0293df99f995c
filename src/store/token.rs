//! Bearer tokens: shown once, kept as SHA-256.

use sha2::{Digest, Sha256};

use super::Store;
use crate::domain::word::Access;
use crate::error::{Error, Result};

/// Who holds a token and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The name under which edits are recorded.
    pub label: String,
    /// What it allows.
    pub access: Access,
}

impl Store {
    /// Makes a token and answers its text, which is nowhere else.
    pub async fn add_token(&self, label: &str, access: Access) -> Result<String> {
        let mut secret = [0u8; 24];
        getrandom::fill(&mut secret).map_err(Error::internal)?;
        let token: String = "lp_".chars().chain(secret.iter().flat_map(|b| hex(*b))).collect();
        sqlx::query("insert into token (hash, label, access) values ($1, $2, $3)")
            .bind(hash(&token))
            .bind(label)
            .bind(access.key())
            .execute(&self.pool)
            .await?;
        Ok(token)
    }

    /// What a token allows; none if it is unknown or revoked.
    pub async fn grant(&self, token: &str) -> Result<Option<Grant>> {
        let row: Option<(String, String)> =
            sqlx::query_as("select label, access from token where hash = $1 and revoked is null")
                .bind(hash(token))
                .fetch_optional(&self.pool)
                .await?;
        row.map(|(label, access)| {
            Ok(Grant {
                label,
                access: Access::parse(&access).map_err(|t| Error::internal(t.en))?,
            })
        })
        .transpose()
    }
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

fn hex(b: u8) -> impl Iterator<Item = char> {
    [b >> 4, b & 15]
        .into_iter()
        .filter_map(|n| char::from_digit(u32::from(n), 16))
}
