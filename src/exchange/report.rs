//! What became of a delivery: as JSON beside the file, and as a few lines for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::domain::delivery::{Finding, Reason, RowFault, Tally};
use crate::domain::text::{Lang, Text};
use crate::text;

/// How many examples and findings of each kind a report lists; it counts them all.
const EXAMPLES: usize = 5;
const FINDINGS: usize = 1000;

/// What became of a delivery.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The file's name.
    pub file: String,
    /// What the rows became.
    pub into: String,
    /// The source's name.
    pub source: String,
    /// Whether nothing was to be kept.
    pub dry_run: bool,
    /// CSV, XLSX, GeoJSON …
    pub format: String,
    /// The encoding and how it was found.
    pub encoding: String,
    /// The coordinate system and the axis order of its definition.
    pub crs: String,
    /// What people should know of the file.
    pub notes: Vec<Text>,
    /// Rows read.
    pub read: u64,
    /// Rows refused.
    pub rejected: u64,
    /// Where the others went.
    pub tally: Tally,
    /// Refused rows by the first reason of each.
    pub reasons: BTreeMap<Reason, (u64, Vec<(u64, RowFault)>)>,
    /// Parties that the delivery brought.
    pub new_parties: Vec<String>,
    /// Names of parties that the register does not have: the rows that name each, and the nearest that it has.
    pub unknown_parties: BTreeMap<String, (u64, Option<String>)>,
    /// What is left to be looked at, by kind, with how many there are.
    pub findings: BTreeMap<&'static str, (u64, Vec<Finding>)>,
    /// Components that got another cell.
    pub cells_assigned: u64,
    /// Seconds from the first byte to the last commit.
    pub seconds: f64,
    /// The newest revision of the delivery.
    pub revision: Option<i64>,
    /// The file of refused rows.
    pub rejects: Option<String>,
    /// The list of what became of each row, where one is made.
    pub changes: Option<String>,
    /// The delivery's number, by which it can be undone.
    pub delivery: Option<i64>,
}

impl Report {
    /// Counts a refused row.
    pub fn reject(&mut self, row: u64, faults: &[RowFault]) {
        self.rejected += 1;
        if let Some(first) = faults.first() {
            let (count, examples) = self.reasons.entry(first.reason).or_default();
            *count += 1;
            if examples.len() < EXAMPLES {
                examples.push((row, first.clone()));
            }
        }
    }

    /// Adds something to be looked at.
    pub fn find(&mut self, finding: Finding) {
        let (count, list) = self.findings.entry(finding.kind).or_default();
        *count += 1;
        if list.len() < FINDINGS {
            list.push(finding);
        }
    }

    /// Rows a second.
    pub fn rate(&self) -> f64 {
        self.read as f64 / self.seconds.max(1e-3)
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Value {
        let example = |(row, f): &(u64, RowFault)| json!({"row": row, "column": f.column, "reason": f.detail, "expected": f.expected});
        let reasons: Vec<Value> = self
            .reasons
            .iter()
            .map(|(reason, (count, examples))| {
                json!({
                    "reason": reason.key(), "title": reason.title(), "count": count,
                    "examples": examples.iter().map(example).collect::<Vec<_>>(),
                })
            })
            .collect();
        let finding = |f: &Finding| json!({"codes": f.codes, "area_m2": f.area_m2, "detail": f.detail});
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|(kind, (count, list))| json!({"kind": kind, "count": count, "list": list.iter().map(finding).collect::<Vec<_>>()}))
            .collect();
        json!({
            "delivery": self.delivery, "file": self.file, "into": self.into, "source": self.source, "dry_run": self.dry_run,
            "format": self.format, "encoding": (!self.encoding.is_empty()).then_some(&self.encoding), "crs": self.crs,
            "notes": self.notes,
            "rows": {
                "read": self.read, "added": self.tally.added, "changed": self.tally.changed, "unchanged": self.tally.unchanged,
                "merged": self.tally.merged, "moved": self.tally.moved, "altered": self.tally.altered, "kept": self.tally.kept, "retired": self.tally.retired,
                "rejected": self.rejected,
            },
            "rejected": reasons, "rejects": self.rejects, "changes": self.changes, "new_parties": self.new_parties, "findings": findings,
            "unknown_parties": self.unknown_parties.iter().map(|(name, (rows, nearest))| json!({"name": name, "rows": rows, "nearest": nearest}))
                .collect::<Vec<_>>(),
            "cells_assigned": self.cells_assigned, "revision": self.revision,
            "seconds": (self.seconds * 1e3).round() / 1e3, "rows_per_second": self.rate().round(),
        })
    }

    /// A few lines for people.
    pub fn summary(&self, lang: Lang) -> String {
        let t = &self.tally;
        let mut out = String::new();
        let zh = lang == Lang::Zh;
        let mut line = |zh_line: String, en_line: String| {
            let _ = writeln!(out, "{}", if zh { zh_line } else { en_line });
        };
        let known: Vec<&str> = [&self.format, &self.encoding, &self.crs]
            .into_iter()
            .map(String::as_str)
            .filter(|s| !s.is_empty())
            .collect();
        line(
            format!("{}：{}", self.file, known.join("，")),
            format!("{}: {}", self.file, known.join(", ")),
        );
        for note in &self.notes {
            line(format!("  {}", note.zh), format!("  {}", note.en));
        }
        let (read, added, changed, unchanged, rejected) = (self.read, t.added, t.changed, t.unchanged, self.rejected);
        let dry = if self.dry_run {
            ("，试运行，未写入", ", dry run, nothing kept")
        } else {
            ("", "")
        };
        // Zeros that nobody would look for are left out.
        let more = |n: u64, zh: &str, en: &str| match n {
            0 => Text::new("", ""),
            n => text!("，{zh} {n}", ", {n} {en}"),
        };
        let more = [
            more(t.merged, "合并", "merged"),
            more(t.kept, "保留登记册的修改", "left as edited in the register"),
            more(t.retired, "注销", "retired"),
        ];
        let how = match (t.moved, t.altered) {
            (0, _) => Text::new("", ""),
            (moved, altered) => text!(
                "（移位 {moved}，其他字段 {altered}）",
                " ({moved} moved, {altered} in other fields)"
            ),
        };
        let more_of = |lang: Lang| more.iter().map(|t| t.get(lang)).collect::<String>();
        let (more_zh, more_en) = (more_of(Lang::Zh), more_of(Lang::En));
        line(
            format!(
                "读取 {read} 行：新增 {added}，变更 {changed}{}，未变 {unchanged}{more_zh}，退回 {rejected}{}",
                how.zh, dry.0
            ),
            format!(
                "{read} rows: {added} added, {changed} changed{}, {unchanged} unchanged{more_en}, {rejected} rejected{}",
                how.en, dry.1
            ),
        );
        for (reason, (count, examples)) in &self.reasons {
            let title = reason.title();
            let first = examples.first().map_or(Text::new("", ""), |(row, f)| {
                let (zh, en, column) = (&f.detail.zh, &f.detail.en, &f.column);
                text!("如第{row}行 {column}：{zh}", "row {row} {column}: {en}")
            });
            line(
                format!("  退回 {count}：{}（{}）", title.zh, first.zh),
                format!("  {count} rejected: {} ({})", title.en, first.en),
            );
        }
        for (name, (rows, nearest)) in self.unknown_parties.iter().take(20) {
            let near = nearest.as_deref().unwrap_or("?");
            line(
                format!("  没有单位“{name}”（{rows} 行）；若即“{near}”：--alias '{name}={near}'"),
                format!("  no party \"{name}\" ({rows} rows); if it is \"{near}\": --alias '{name}={near}'"),
            );
        }
        for (kind, (count, list)) in &self.findings {
            let first = list.first().map_or(Text::new("", ""), |f| f.detail.clone());
            line(
                format!("  {} {count}：{}", kind_zh(kind), first.zh),
                format!("  {count} {kind}: {}", first.en),
            );
        }
        if !self.new_parties.is_empty() {
            let (n, names) = (
                self.new_parties.len(),
                self.new_parties.iter().take(10).cloned().collect::<Vec<_>>().join(", "),
            );
            line(
                format!("  新增单位 {n}：{names}"),
                format!("  {n} new parties: {names}"),
            );
        }
        if self.cells_assigned > 0 {
            let n = self.cells_assigned;
            line(
                format!("  {n} 个部件重新归入单元网格"),
                format!("  {n} components were given their cells"),
            );
        }
        let (seconds, rate) = (self.seconds, self.rate());
        line(
            format!("用时 {seconds:.2} 秒，每秒 {rate:.0} 行"),
            format!("{seconds:.2} s, {rate:.0} rows/s"),
        );
        if let Some(id) = self.delivery.filter(|_| self.into == "components") {
            line(
                format!("第 {id} 次交付（lamppost import --undo {id} 可撤销）"),
                format!("delivery {id} (lamppost import --undo {id} takes it back)"),
            );
        }
        if let Some(path) = &self.changes {
            line(
                format!("逐行结果见 {path}"),
                format!("what became of each row is in {path}"),
            );
        }
        if let Some(path) = &self.rejects {
            line(
                format!("退回的行见 {path}，更正后可直接导入"),
                format!("rejected rows are in {path}; correct and import them as they are"),
            );
        }
        out
    }
}

/// What a kind of finding is called in Chinese.
fn kind_zh(kind: &str) -> &str {
    match kind {
        "overlap" => "重叠",
        "gap" => "缺口",
        "prefix" => "前缀不符",
        "road_unknown" => "道路不详",
        "party_missing" => "缺责任单位",
        other => other,
    }
}
