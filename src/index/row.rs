//! One component in memory: a row of 64 bytes, whatever it is, in a page with its neighbours by id.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use super::paged::Paged;
use crate::domain::word::{ManagementKind, OwnershipStatus, PropertyKind, State};
use crate::spatial::tile_id::World;

/// A text of a page: where it begins and how long it is; 0 is "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span(u32);

/// The longest text that a page keeps, in bytes. A name has at most 1,000 characters.
const MAX_SPAN: usize = (1 << 12) - 1;

/// A component's code in eight bytes: at most 17 digits and how many there are, as in a national code, or a text of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CodeKey(u64);

const DIGITS: u64 = 1 << 63;
/// 17 digits are less than 2^57.
const LENGTH: u32 = 57;
const MOST_DIGITS: usize = 17;

/// A component as memory holds it. Numbers of parties, cells and roads are the register's own; 0 is "none".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Degrees east of the point or point on surface.
    pub lon: f64,
    /// Degrees north.
    pub lat: f64,
    pub(super) code: CodeKey,
    /// [`World::y`] of `lat`, which costs a logarithm to find.
    pub y: u32,
    pub(super) name: Span,
    /// Road.
    pub road: u32,
    /// Cell.
    pub cell: u32,
    /// 主管单位.
    pub authority: u32,
    /// 权属单位.
    pub owner: u32,
    /// 养护单位.
    pub maintainer: u32,
    /// Version.
    pub version: u32,
    /// Class.
    pub class: u16,
    /// Number of the code's scheme in kept schemes.
    pub scheme: u8,
    /// Condition.
    pub state: State,
    /// How far the owner is settled.
    pub ownership: OwnershipStatus,
    /// 产权性质.
    pub property: Option<PropertyKind>,
    /// 管理方式.
    pub management: Option<ManagementKind>,
    /// Whether it is a line or polygon, kept among the shapes.
    pub shaped: bool,
}

const _: () = assert!(size_of::<Row>() == 64);

impl Row {
    /// A row without its texts.
    pub fn new(lon: f64, lat: f64) -> Row {
        Row {
            lon,
            lat,
            code: CodeKey::default(),
            y: World::at(lon, lat).y,
            name: Span::default(),
            road: 0,
            cell: 0,
            authority: 0,
            owner: 0,
            maintainer: 0,
            version: 0,
            class: 0,
            scheme: 0,
            state: State::Intact,
            ownership: OwnershipStatus::Unsurveyed,
            property: None,
            management: None,
            shaped: false,
        }
    }

    /// Its position as whole numbers.
    pub fn at(&self) -> World {
        World {
            x: World::x_at(self.lon),
            y: self.y,
        }
    }

    /// The row without its texts and scheme, which only this memory can read.
    pub fn without_texts(&self) -> Row {
        Row {
            scheme: 0,
            code: CodeKey::default(),
            name: Span::default(),
            ..*self
        }
    }

    /// What tiles show of it besides its shape.
    pub fn drawn(&self) -> impl PartialEq + use<> {
        let at = (self.lon.to_bits(), self.lat.to_bits());
        (at, self.class, self.state, self.ownership, self.owner)
    }
}

/// The rows of 128 neighbouring ids, and their texts.
#[derive(Clone, Debug, Default)]
struct Page {
    present: u128,
    rows: Vec<Row>,
    text: String,
}

const PAGE_BITS: u32 = 7;

impl Page {
    fn place(&self, bit: u128) -> usize {
        (self.present & (bit - 1)).count_ones() as usize
    }

    fn read(&self, span: Span) -> Option<&str> {
        let (start, len) = ((span.0 >> 12) as usize, (span.0 & 0xfff) as usize);
        self.text.get(start..start + len).filter(|s| !s.is_empty())
    }

    /// Keeps a text, once a page.
    fn keep(&mut self, text: &str) -> Span {
        let text = &text[..text.floor_char_boundary(MAX_SPAN)];
        let kept = |row: &Row| {
            [row.name, row.code.span()]
                .into_iter()
                .find(|s| self.read(*s) == Some(text))
        };
        if text.is_empty() {
            return Span::default();
        }
        if let Some(span) = self.rows.iter().rev().find_map(kept) {
            return span;
        }
        let start = self.text.len();
        self.text.reserve_exact(text.len());
        self.text.push_str(text);
        Span((start as u32) << 12 | text.len() as u32)
    }

    /// Drops the texts that no row has any longer.
    fn tidy(&mut self) {
        let mut kept = Page {
            present: 0,
            rows: Vec::with_capacity(self.rows.len()),
            text: String::with_capacity(self.text.len()),
        };
        for row in &self.rows {
            let mut row = *row;
            row.name = self.read(row.name).map_or(Span::default(), |s| kept.keep(s));
            if let Some(code) = self.read(row.code.span()) {
                row.code = CodeKey(u64::from(kept.keep(code).0));
            }
            kept.rows.push(row);
        }
        (self.rows, self.text) = (kept.rows, kept.text);
    }
}

impl CodeKey {
    fn digits(code: &str) -> Option<CodeKey> {
        let plain = (1..=MOST_DIGITS).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit());
        let number = plain.then(|| code.parse::<u64>().ok()).flatten();
        number.map(|n| CodeKey(n | (code.len() as u64) << LENGTH | DIGITS))
    }

    fn span(self) -> Span {
        if self.0 & DIGITS == 0 {
            Span(self.0 as u32)
        } else {
            Span(0)
        }
    }
}

/// A component that was found: its row, with its texts.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Permanent number.
    pub id: u64,
    row: &'a Row,
    page: &'a Page,
}

impl Deref for Found<'_> {
    type Target = Row;

    fn deref(&self) -> &Row {
        self.row
    }
}

impl<'a> Found<'a> {
    /// Its row.
    pub fn row(&self) -> &'a Row {
        self.row
    }

    /// Its own name.
    pub fn name(&self) -> Option<&'a str> {
        self.page.read(self.row.name)
    }

    /// Its code.
    pub fn code(&self) -> Option<Cow<'a, str>> {
        let key = self.row.code;
        if key.0 & DIGITS != 0 {
            let (number, length) = (key.0 & ((1 << LENGTH) - 1), (key.0 & !DIGITS) >> LENGTH);
            return Some(format!("{number:0length$}", length = length as usize).into());
        }
        self.page.read(key.span()).map(Cow::Borrowed)
    }

    /// Whether its code is this one, under whatever scheme.
    pub fn has_code(&self, code: &str) -> bool {
        match CodeKey::digits(code) {
            Some(key) => self.row.code == key,
            None => self.page.read(self.row.code.span()) == Some(code),
        }
    }
}

/// All rows by id. A copy shares its pages with the original.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pages: Paged<Arc<Page>>,
    len: usize,
}

fn split(id: u64) -> (u64, u128) {
    (id >> PAGE_BITS, 1 << (id & ((1 << PAGE_BITS) - 1)))
}

impl Rows {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The component of an id. Cost: O(log pages), about 0.1 µs.
    pub fn get(&self, id: u64) -> Option<Found<'_>> {
        let (number, bit) = split(id);
        let page = self.pages.get(number).filter(|p| p.present & bit != 0)?;
        let row = page.rows.get(page.place(bit))?;
        Some(Found { id, row, page })
    }

    /// All components in the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = Found<'_>> {
        self.pages.iter().flat_map(|(number, page)| {
            let mut left = page.present;
            page.rows.iter().map(move |row| {
                let id = number << PAGE_BITS | u64::from(left.trailing_zeros());
                left &= left.wrapping_sub(1);
                Found { id, row, page }
            })
        })
    }

    /// Puts a row in, in place of the one with its id, and gives it its texts.
    pub fn set(&mut self, id: u64, row: Row, name: Option<&str>, code: Option<&str>) {
        let (number, bit) = split(id);
        let page = Arc::make_mut(self.pages.or_insert(number, Arc::default));
        let place = page.place(bit);
        let had_text = page.present & bit != 0 && {
            let old = &page.rows[place];
            old.name != Span::default() || old.code.span() != Span::default()
        };
        let row = Row {
            name: name.map_or(Span::default(), |n| page.keep(n)),
            code: code.map_or(CodeKey::default(), |c| {
                CodeKey::digits(c).unwrap_or_else(|| CodeKey(u64::from(page.keep(c).0)))
            }),
            ..row
        };
        if page.present & bit == 0 {
            // Doubling ends at a full page, which nearly all are.
            page.rows.insert(place, row);
            page.present |= bit;
            self.len += 1;
        } else {
            let old = std::mem::replace(&mut page.rows[place], row);
            if had_text && (old.name != row.name || old.code != row.code) {
                page.tidy();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Texts = (Option<String>, Option<String>);

    proptest! {
        #[test]
        fn rows_keep_their_texts(
            steps in prop::collection::vec((0u64..300, "[路灯a]{0,3}", "[0-9]{0,20}|[A-Z]{0,4}"), 0..300)
        ) {
            let (mut rows, mut naive) = (Rows::default(), BTreeMap::<u64, Texts>::new());
            let text = |s: String| Some(s).filter(|s| !s.is_empty());
            for (id, name, code) in steps {
                rows.set(id, Row::new(117.0, 39.0), Some(&name), Some(&code));
                naive.insert(id, (text(name), text(code)));
            }
            prop_assert_eq!(rows.len(), naive.len());
            let said: Vec<(u64, Texts)> = rows.iter()
                .map(|f| (f.id, (f.name().map(str::to_owned), f.code().map(Cow::into_owned)))).collect();
            prop_assert_eq!(said, naive.clone().into_iter().collect::<Vec<_>>());
            for (id, (_, code)) in naive {
                prop_assert!(code.is_none_or(|c| rows.get(id).unwrap().has_code(&c)));
            }
        }
    }
}
