//! What a body says of a claim: which role, who, from when, backed by what. Every fault at once.

use std::collections::HashMap;

use chrono::NaiveDate;
use serde_json::{Map, Value};

use super::Shared;
use super::evidence::{MAX_TEXT, readable};
use crate::domain::claim::book::Wanted;
use crate::domain::evidence::{Described, Paper};
use crate::domain::grant::Grant;
use crate::domain::text::{Fault, Text};
use crate::domain::word::MotionKind;
use crate::error::{Error, Result};
use crate::exchange::nearest::hint;
use crate::text;

/// Parties that hold one role together.
const MAX_PARTIES: usize = 20;
/// Documents handed in with one claim.
const MAX_DOCUMENTS: usize = 100;

pub(super) fn unknown(body: &Map<String, Value>, known: &[&str]) -> Vec<Fault> {
    let list = known.join(", ");
    let not = body.keys().filter(|k| !known.contains(&k.as_str()));
    not.map(|k| {
        Fault::new(
            format!("/{k}"),
            text!("没有此成员；可为 {list}", "there is no such member; there are {list}"),
        )
    })
    .collect()
}

pub(super) fn day(value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<NaiveDate> {
    let day = value.as_str().and_then(|s| s.parse().ok());
    if day.is_none() && !value.is_null() {
        let detail = Text::new("应为日期，如 2026-03-01", "should be a day such as 2026-03-01");
        faults.push(Fault::new(at, detail));
    }
    day
}

pub(super) fn words(value: Option<&Value>, at: &str, faults: &mut Vec<Fault>) -> Option<String> {
    match value {
        None | Some(Value::Null) => None,
        Some(Value::String(s)) if s.chars().count() <= MAX_TEXT => Some(s.trim().to_owned()).filter(|s| !s.is_empty()),
        Some(_) => {
            let detail = text!(
                "应为不超过{MAX_TEXT}个字符的文本",
                "should be text of at most {MAX_TEXT} characters"
            );
            faults.push(Fault::new(at, detail));
            None
        }
    }
}

/// What is asked for, without its documents; none where it cannot be read.
pub(super) fn read_wanted(
    body: &Map<String, Value>,
    known: &HashMap<String, i32>,
    faults: &mut Vec<Fault>,
) -> Option<Wanted> {
    let kind = words(body.get("kind"), "/kind", faults).unwrap_or_else(|| MotionKind::Claim.key().to_owned());
    let kind = MotionKind::parse(&kind).map_err(|e| faults.push(Fault::new("/kind", e)));
    let mut parties = Vec::new();
    let named = body
        .get("parties")
        .map_or(Some(&[][..]), |v| v.as_array().map(Vec::as_slice));
    for (i, name) in named.unwrap_or_default().iter().take(MAX_PARTIES).enumerate() {
        let name = name.as_str().unwrap_or_default();
        match known.get(name) {
            Some(id) if !parties.contains(id) => parties.push(*id),
            Some(_) => {}
            None => {
                let near = hint(name, known.keys().map(String::as_str));
                let (zh, en) = (near.zh, near.en);
                let detail = text!("登记册没有单位“{name}”{zh}", "the register has no party \"{name}\"{en}");
                faults.push(Fault::new(format!("/parties/{i}"), detail));
            }
        }
    }
    if named.is_none_or(|n| n.len() > MAX_PARTIES) {
        let detail = text!(
            "应为单位名称或代码的数组，至多 {MAX_PARTIES} 个",
            "should be an array of at most {MAX_PARTIES} names or codes of parties"
        );
        faults.push(Fault::new("/parties", detail));
    }
    let from = body.get("from").and_then(|v| day(v, "/from", faults));
    if from.is_none() && !faults.iter().any(|f| f.pointer == "/from") {
        let detail = Text::new("缺少起日", "the first day is missing");
        faults.push(Fault::new("/from", detail));
    }
    let to = body.get("to").and_then(|v| day(v, "/to", faults));
    Some(Wanted {
        kind: kind.ok()?,
        parties,
        from: from?,
        to,
        evidence: 0,
    })
}

pub(super) fn read_documents(body: &Map<String, Value>, faults: &mut Vec<Fault>) -> Vec<Paper> {
    let mut documents = Vec::new();
    let listed = body
        .get("evidence")
        .map_or(Some(&[][..]), |v| v.as_array().map(Vec::as_slice));
    for (i, value) in listed.unwrap_or_default().iter().take(MAX_DOCUMENTS).enumerate() {
        if let Some(id) = value.get("id").and_then(Value::as_i64) {
            documents.push(Paper::Known(id));
            continue;
        }
        let empty = Map::new();
        let own = value.as_object().unwrap_or(&empty);
        let mut field = |name: &str| words(own.get(name), &format!("/evidence/{i}/{name}"), faults);
        let (kind, number, issuer) = (field("kind"), field("number"), field("issuer"));
        let dated = own
            .get("date")
            .and_then(|v| day(v, &format!("/evidence/{i}/date"), faults));
        match kind {
            Some(kind) => documents.push(Paper::Described(Described {
                kind,
                number,
                issuer,
                dated,
            })),
            None => {
                let detail = Text::new(
                    "应为 {id}，或 {kind, number, issuer, date}，须有 kind，如“移交协议”",
                    "should be {id}, or {kind, number, issuer, date} with at least its kind",
                );
                faults.push(Fault::new(format!("/evidence/{i}"), detail));
            }
        }
    }
    if listed.is_none_or(|l| l.len() > MAX_DOCUMENTS) {
        let detail = text!(
            "应为至多 {MAX_DOCUMENTS} 份文件的数组",
            "should be an array of at most {MAX_DOCUMENTS} documents"
        );
        faults.push(Fault::new("/evidence", detail));
    }
    documents
}

/// Refuses a document that the caller may not read.
pub(super) async fn check_papers(app: &Shared, grant: &Grant, papers: &[Paper]) -> Result<()> {
    let mut faults = Vec::new();
    for (i, paper) in papers.iter().enumerate() {
        let Paper::Known(id) = paper else { continue };
        let found = app.store.document(*id).await?;
        let memory = app.index.read();
        if !found.is_some_and(|(d, classes)| readable(&memory, grant, &d, &classes)) {
            let detail = text!("没有材料 {id}", "there is no document {id}");
            faults.push(Fault::new(format!("/evidence/{i}/id"), detail));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(faults))
    }
}
