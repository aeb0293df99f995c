//! A record into a component: class, state and parties by the mapping, attributes by what the class declares.

mod check;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;
use geo::Geometry;
use serde_json::Value;

use super::fold::{fold, plain};
use super::key::Keys;
use super::mapping::Mapping;
use super::nearest::{hint, shown};
use super::parties::{self, Named, Parties};
use super::pick::Pick;
use super::place;
use super::record::Record;
use super::value::{self, Reading};
use crate::domain::class::{AttributeKind, Class};
use crate::domain::code::Scheme;
use crate::domain::component::Draft;
use crate::domain::delivery::{ComponentRow, Reason, RowFault};
use crate::domain::text::{Fault, Text};
use crate::domain::word::{Accuracy, ManagementKind, OwnershipStatus, PropertyKind, State};
use crate::error::{Error, Result};
use crate::spatial::crs::Crs;
use crate::spatial::ground::Ground;
use crate::spatial::near::Near;
use crate::text;

/// What the register knows that a delivery is checked against.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Its class dictionaries.
    pub classes: Vec<Class>,
    /// Its parties by name, alias and code.
    pub parties: HashMap<String, i32>,
    /// Its areas and cells.
    pub ground: Arc<Ground>,
    /// Districts that are another one now, and since when.
    pub former_districts: HashMap<String, (String, NaiveDate)>,
    /// Its components, where duplicates are looked for.
    pub near: Option<Near>,
}

/// Turns records into components.
#[derive(Debug)]
pub struct Components {
    mapping: Mapping,
    crs: Crs,
    classes: Vec<Class>,
    /// Classes by `SCHEME/code`, code and names; several where a word is ambiguous.
    words: HashMap<String, Vec<usize>>,
    /// The same by folded word.
    folded: HashMap<String, Vec<usize>>,
    parties: Parties,
    ground: Arc<Ground>,
    near: Option<Near>,
    former_districts: HashMap<String, (String, NaiveDate)>,
    /// Whether the whole column of codes has been rounded.
    rounded: bool,
    today: NaiveDate,
    used: HashSet<String>,
    keys: Keys,
}

const ROLES: [&str; 3] = ["authority", "owner", "maintainer"];

impl Components {
    /// Checks the words of the mapping against what the register knows; every fault at once.
    pub fn new(mapping: Mapping, crs: Crs, known: Known, sample: &[Record]) -> Result<Components> {
        let Known {
            classes,
            parties,
            ground,
            near,
            former_districts,
        } = known;
        let mut words: HashMap<String, Vec<usize>> = HashMap::new();
        let mut folded: HashMap<String, Vec<usize>> = HashMap::new();
        for (i, class) in classes.iter().enumerate() {
            let full = format!("{}/{}", class.scheme, class.code);
            for word in [full, class.code.clone(), class.name_zh.clone(), class.name_en.clone()] {
                folded.entry(fold(&word)).or_default().push(i);
                words.entry(word).or_default().push(i);
            }
        }
        let rounded = mapping.fields.get("code").is_some_and(|pick| {
            let codes = sample.iter().filter_map(|r| pick.get(r, &mapping.nulls).ok().flatten());
            check::rounded_column(codes.map(|c| plain(&c).into_owned()))
        });
        let mut used: HashSet<String> = mapping.clone().columns_mut().map(|c| c.name.clone()).collect();
        used.extend(mapping.drop.iter().cloned());
        let own = Components {
            mapping,
            crs,
            classes,
            words,
            folded,
            parties: Parties::new(parties),
            ground,
            near,
            former_districts,
            rounded,
            today: chrono::Local::now().date_naive(),
            used,
            keys: Keys::default(),
        };
        let mut faults = Vec::new();
        for (field, pick) in &own.mapping.fields {
            // Without a table of values the meaning stands in the file itself and is checked row by row.
            for word in pick.words() {
                let fault = match field.as_str() {
                    "class" => own.class(word, pick).err(),
                    "state" => State::parse(word).err(),
                    "property_kind" => PropertyKind::parse(word).err(),
                    "management_kind" => ManagementKind::parse(word).err(),
                    "accuracy" => Accuracy::parse(word).err(),
                    _ => None,
                };
                faults.extend(fault.map(|e| Fault::new(field, e)));
            }
        }
        if let Some(pick) = own.mapping.fields.get("code")
            && pick.scheme_column.is_none()
            && let Err(e) = own.code_scheme(None)
        {
            faults.push(Fault::new("fields.code", e));
        }
        if faults.is_empty() {
            Ok(own)
        } else {
            Err(Error::Syntax(faults))
        }
    }

    /// The columns of a component that the mapping sets; a delivery leaves the others as they are.
    pub fn columns(&self) -> Vec<String> {
        self.mapping.fields.keys().cloned().collect()
    }

    /// Fields and attributes whose columns the mapping says to ignore.
    pub fn ignored(&self) -> Vec<String> {
        let ignored = |column: &str| self.mapping.ignore.iter().any(|i| i == column);
        let picks = self
            .mapping
            .fields
            .iter()
            .chain(self.mapping.attributes.iter().map(|(n, p)| (n, p)));
        let own = picks.filter(|(_, p)| ignored(p.column_name())).map(|(n, _)| n.clone());
        // Of what is only kept, the attribute is called as the column.
        own.chain(self.mapping.ignore.iter().cloned()).collect()
    }

    /// Names that nobody knows, as they are met.
    pub fn unknown_parties(&self) -> parties::Shared {
        self.parties.unknown()
    }

    /// Maps and checks one record; every fault at once.
    pub fn map(&mut self, record: &Record) -> Result<ComponentRow, Vec<RowFault>> {
        let mut faults = Vec::new();
        let class = self.row_class(record).map_err(|f| faults.push(f)).ok();
        let cell = self.text(record, "cell").map_err(|f| faults.push(f)).ok().flatten();
        let geometry = place::read(record, &self.mapping, self.crs)
            .map_err(|f| faults.push(self.explained(record, f, cell.as_deref())))
            .ok();
        let nowhere = Geometry::Point(geo::Point::new(0.0, 0.0));
        let mut draft = Draft::new(
            class.map_or(0, |c| self.classes[c].id),
            geometry.clone().unwrap_or(nowhere),
        );
        self.fill_words(record, &mut draft, &mut faults);
        let mut new_parties = [None, None, None];
        for (i, role) in ROLES.iter().enumerate() {
            let Some(pick) = self.mapping.fields.get(*role) else {
                continue;
            };
            match self.parties.find(record, pick, &self.mapping.nulls) {
                Ok(Named::Nobody) => {}
                Ok(Named::Known(id)) => {
                    let slot = [&mut draft.authority, &mut draft.owner, &mut draft.maintainer];
                    if let Some(s) = slot.into_iter().nth(i) {
                        *s = Some(id);
                    }
                }
                Ok(Named::New(name)) => new_parties[i] = Some(name),
                Err(f) => faults.push(f),
            }
        }
        if draft.owner.is_some() || new_parties[1].is_some() {
            draft.ownership_status = OwnershipStatus::Proposed;
        }
        let mut absent = Vec::new();
        if let Some(class) = class {
            let class = &self.classes[class];
            absent = self.fill_attributes(record, class, &mut draft, &mut faults);
            let own = draft.check(class).into_iter();
            let stands = geometry.is_some();
            faults.extend(
                own.filter(|f| stands || !f.pointer.starts_with("/geometry"))
                    .map(|f| self.locate(f)),
            );
            if let Some(geometry) = &geometry {
                let accuracy = draft.accuracy.or(class.accuracy).map_or(1.0, Accuracy::metres);
                faults.extend(self.misplaced(record, geometry, cell.as_deref(), accuracy));
            }
        }
        let serial_of = match (class, &geometry) {
            (Some(class), Some(geometry)) if draft.code.is_none() => self
                .serial_of(&self.classes[class], geometry)
                .map_err(|f| faults.push(f))
                .ok()
                .flatten(),
            _ => None,
        };
        faults.extend(self.foreign(&draft));
        let key_column = self.mapping.key.first().map_or("", |c| &c.name);
        let salt = class.map_or("", |c| &self.classes[c].code);
        let key = self
            .keys
            .key(record, &self.mapping, salt)
            .map_err(|f| faults.push(f))
            .ok();
        if let Some(key) = &key {
            faults.extend(self.keys.give(key, record.row, key_column, !faults.is_empty()).err());
        }
        if let Some(class) = class.filter(|_| faults.is_empty()) {
            faults.extend(self.duplicate(record.row, &draft, class, key.as_deref()));
        }
        draft.source = Some(self.mapping.source.clone());
        draft.source_key = key;
        let road = self.text(record, "road").map_err(|f| faults.push(f)).ok().flatten();
        if faults.is_empty() {
            let named = [draft.authority, draft.owner, draft.maintainer];
            self.parties
                .note([0, 1, 2].map(|i| named[i].is_some() || new_parties[i].is_some()));
            Ok(ComponentRow {
                row: record.row,
                draft,
                absent,
                new_parties,
                road,
                serial_of,
            })
        } else {
            Err(faults)
        }
    }

    fn class(&self, word: &str, pick: &Pick) -> Result<usize, Text> {
        let full = pick.scheme.as_ref().map(|s| format!("{s}/{word}"));
        let found = full
            .as_ref()
            .and_then(|f| self.words.get(f))
            .or_else(|| self.words.get(word))
            .or_else(|| full.and_then(|f| self.folded.get(&fold(&f))))
            .or_else(|| self.folded.get(&fold(word)));
        match found.map(Vec::as_slice) {
            Some([one]) => Ok(*one),
            Some(several) => {
                let list: Vec<String> = several
                    .iter()
                    .map(|i| format!("{}/{}", self.classes[*i].scheme, self.classes[*i].code))
                    .collect();
                let list = list.join(", ");
                Err(text!(
                    "小类“{word}”有多个，应为其中之一：{list}",
                    "class \"{word}\" is ambiguous; it should be one of {list}"
                ))
            }
            None => {
                let word = shown(word);
                let word = word.as_ref();
                let near = hint(word, self.words.keys().map(String::as_str));
                let (zh, en) = (near.zh, near.en);
                Err(text!(
                    "没有小类“{word}”{zh}；应为 体系/代码 或名称，如 CJT214-2007/0118",
                    "there is no class \"{word}\"{en}; it should be SCHEME/code or a name, such as CJT214-2007/0118"
                ))
            }
        }
    }

    fn row_class(&self, record: &Record) -> Result<usize, RowFault> {
        let pick = &self.mapping.fields["class"];
        match pick.get(record, &self.mapping.nulls) {
            Ok(Some(word)) => self
                .class(&word, pick)
                .map_err(|e| RowFault::of(Reason::Class, pick.column_name(), e)),
            Ok(None) => {
                let expected = Text::new("小类", "a class");
                Err(RowFault::new(
                    Reason::Class,
                    pick.column_name(),
                    Text::new("没有小类", "there is no class"),
                    expected,
                ))
            }
            Err(f) => Err(RowFault {
                reason: Reason::Class,
                ..f
            }),
        }
    }

    fn text(&self, record: &Record, field: &str) -> Result<Option<String>, RowFault> {
        match self.mapping.fields.get(field) {
            Some(pick) => Ok(pick.get(record, &self.mapping.nulls)?.map(Cow::into_owned)),
            None => Ok(None),
        }
    }

    fn parsed<T>(
        &self,
        record: &Record,
        field: &str,
        parse: impl Fn(&str) -> Result<T, Text>,
    ) -> Result<Option<T>, RowFault> {
        let Some(word) = self.text(record, field)? else {
            return Ok(None);
        };
        let column = self.mapping.column_of(field);
        parse(&word)
            .map(Some)
            .map_err(|e| RowFault::of(Reason::Value, column, e))
    }

    fn code_scheme(&self, row: Option<&str>) -> Result<Scheme, Text> {
        let own = self.mapping.fields.get("code").and_then(|p| p.scheme.as_deref());
        match row.or(own).or(self.mapping.scheme.as_deref()) {
            Some(s) => Scheme::parse(s),
            None => Err(Text::new(
                "缺少 scheme:标识码的编码体系",
                "scheme is missing: a code never stands without its scheme",
            )),
        }
    }

    fn fill_words(&self, record: &Record, draft: &mut Draft, faults: &mut Vec<RowFault>) {
        let day = |field: &str, s: &str| {
            let format = self.mapping.fields[field].reading.format.as_deref();
            value::date(s, format).ok_or_else(|| {
                let right = value::day(format);
                let (zh, en) = (right.zh, right.en);
                text!("“{s}”应为{zh}", "\"{s}\" should be {en}")
            })
        };
        macro_rules! take {
            ($slot:expr, $read:expr) => {
                match $read {
                    Ok(value) => $slot = value,
                    Err(fault) => faults.push(fault),
                }
            };
        }
        take!(draft.name, self.text(record, "name"));
        take!(draft.address, self.text(record, "address"));
        take!(draft.note, self.text(record, "note"));
        take!(
            draft.surveyed_on,
            self.parsed(record, "surveyed_on", |s| day("surveyed_on", s))
        );
        let mut changed_on = None;
        take!(changed_on, self.parsed(record, "changed_on", |s| day("changed_on", s)));
        faults.extend(self.disorder(draft.surveyed_on, changed_on));
        if let Some(day) = changed_on {
            draft
                .attributes
                .insert("changed_on".to_owned(), Value::from(day.to_string()));
        }
        take!(
            draft.property_kind,
            self.parsed(record, "property_kind", |s| either(s, PropertyKind::parse))
        );
        take!(
            draft.management_kind,
            self.parsed(record, "management_kind", |s| either(s, ManagementKind::parse))
        );
        take!(
            draft.accuracy,
            self.parsed(record, "accuracy", |s| either(s, Accuracy::parse))
        );
        take!(draft.code, self.code(record));
        match self.parsed(record, "state", |s| either(s, State::parse)) {
            Ok(state) => draft.state = state.unwrap_or(State::Intact),
            Err(fault) => faults.push(fault),
        }
    }

    /// Fills the attributes and returns the names of those that the row leaves empty.
    fn fill_attributes(
        &self,
        record: &Record,
        class: &Class,
        draft: &mut Draft,
        faults: &mut Vec<RowFault>,
    ) -> Vec<String> {
        let mut absent = Vec::new();
        let plain = Reading::default();
        let declared = |name: &str| class.attributes.iter().find(|a| a.name == name).map(|a| a.kind);
        for (name, pick) in &self.mapping.attributes {
            let kind = pick.kind.or_else(|| declared(name));
            let typed = pick.column.as_ref().filter(|_| kind.is_none() && pick.values.is_none());
            let read = pick
                .get(record, &self.mapping.nulls)
                .and_then(|text| match (text, kind) {
                    (None, _) => Ok(None),
                    (Some(text), None) => Ok(Some(
                        typed
                            .and_then(|c| record.value(c))
                            .unwrap_or_else(|| Value::from(text.as_ref())),
                    )),
                    (Some(text), Some(kind)) => reading(&text, kind, &pick.reading, pick.column_name()).map(Some),
                });
            match read {
                Ok(Some(value)) => drop(draft.attributes.insert(name.clone(), value)),
                Ok(None) => absent.push(name.clone()),
                Err(fault) => faults.push(fault),
            }
        }
        if !self.mapping.keep_rest {
            return absent;
        }
        for (name, value) in record.columns() {
            if name.is_empty() || self.used.contains(name) || draft.attributes.contains_key(name) {
                continue;
            }
            let read = match value.as_ref() {
                Value::Null => None,
                Value::String(s) if s.is_empty() || self.mapping.nulls.contains(s) => None,
                Value::String(s) => Some(match declared(name) {
                    Some(kind) => reading(s, kind, &plain, name),
                    None => Ok(Value::from(s.as_str())),
                }),
                nested @ (Value::Array(_) | Value::Object(_)) => Some(Ok(Value::from(nested.to_string()))),
                flat => Some(Ok(flat.clone())),
            };
            match read {
                Some(Ok(value)) => drop(draft.attributes.insert(name.to_owned(), value)),
                Some(Err(fault)) => faults.push(fault),
                None => absent.push(name.to_owned()),
            }
        }
        absent
    }

    /// A fault of the domain, put to the source's own column.
    fn locate(&self, fault: Fault) -> RowFault {
        if fault.pointer.starts_with("/geometry") {
            return RowFault::of(Reason::Geometry, self.place_column(), fault.detail);
        }
        let name = fault
            .pointer
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .replace("~1", "/")
            .replace("~0", "~");
        let attribute = self.mapping.attributes.iter().find(|(n, _)| *n == name).map(|(_, p)| p);
        let pick = attribute.or_else(|| self.mapping.fields.get(&name));
        let column = pick.map_or(name.as_str(), |p| p.column_name());
        let reason = match fault.pointer.as_str() {
            "/properties/code" => Reason::CodeWrong,
            _ if fault.detail.en.ends_with("is missing") => Reason::Missing,
            _ => Reason::Value,
        };
        RowFault::of(reason, column, fault.detail)
    }
}

fn reading(text: &str, kind: AttributeKind, how: &Reading, column: &str) -> Result<Value, RowFault> {
    value::attribute(text, kind, how).map_err(|expected| {
        let text = shown(text);
        let (zh, en) = (&expected.zh, &expected.en);
        let detail = text!("“{text}”不是{zh}", "\"{text}\" is not {en}");
        RowFault::new(Reason::Value, column, detail, expected)
    })
}

/// Reads a word as it is, or in its folded form: 破損 is 破损.
fn either<T>(word: &str, parse: impl Fn(&str) -> Result<T, Text>) -> Result<T, Text> {
    parse(word).or_else(|e| parse(&fold(word)).map_err(|_| e))
}
