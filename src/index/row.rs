//! One component in memory: 48 bytes, whatever it is, in a page with its neighbours by id.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use super::paged::Paged;
use crate::domain::word::{ManagementKind, OwnershipStatus, PropertyKind, State};
use crate::spatial::tile_id::World;

/// A text of a page: where it begins and how long it is; 0 is "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span(u32);

/// The longest text that a page keeps, in bytes. A name has at most 1,000 characters.
const MAX_SPAN: usize = (1 << 12) - 1;

/// A component's code and the number of its scheme. At most 16 digits, as a national code has, are kept as a number: from the top,
/// a bit that says so, the scheme in 5 bits, how many digits in 4, their value in 54. Of any other code this is the scheme, in 8
/// bits, above the span of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CodeKey(u64);

const DIGITS: u64 = 1 << 63;
const SCHEME: u32 = 58;
const LENGTH: u32 = 54;
const MOST_DIGITS: usize = 16;

impl CodeKey {
    /// The number of a code that is one.
    fn digits(scheme: u8, code: &str) -> Option<CodeKey> {
        let plain = (1..=MOST_DIGITS).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit());
        let number: u64 = code.parse().ok().filter(|_| plain && scheme < 32)?;
        let length = code.len() as u64 - 1;
        Some(CodeKey(
            DIGITS | u64::from(scheme) << SCHEME | length << LENGTH | number,
        ))
    }

    fn text(scheme: u8, span: Span) -> CodeKey {
        CodeKey(u64::from(scheme) << 32 | u64::from(span.0))
    }

    fn is_digits(self) -> bool {
        self.0 & DIGITS != 0
    }

    fn scheme(self) -> u8 {
        (if self.is_digits() {
            self.0 >> SCHEME & 31
        } else {
            self.0 >> 32 & 255
        }) as u8
    }

    fn span(self) -> Span {
        if self.is_digits() { Span(0) } else { Span(self.0 as u32) }
    }
}

/// Who answers for a component, by the register's numbers; 0 is "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parties {
    /// 主管单位.
    pub authority: u32,
    /// 权属单位.
    pub owner: u32,
    /// 养护单位.
    pub maintainer: u32,
}

/// A component as memory holds it. Numbers of cells and roads are the register's own; 0 is "none".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Degrees east of the point or point on surface.
    pub lon: f64,
    /// Degrees north.
    pub lat: f64,
    code: CodeKey,
    /// [`World::y`] of `lat`, which costs a logarithm to find.
    pub y: u32,
    /// Road.
    pub road: u32,
    /// Cell.
    pub cell: u32,
    /// Version.
    pub version: u32,
    /// Class.
    pub class: u16,
    /// State in the low four bits, ownership status above.
    condition: u8,
    /// Kind of property in the low four bits and of management in three above, 0 is "none"; the top bit is [`Row::shaped`].
    kinds: u8,
    /// The place of its parties in its page.
    parties: u8,
}

const _: () = assert!(size_of::<Row>() == 48);
const _: () = assert!(State::ALL.len() <= 16 && OwnershipStatus::ALL.len() <= 16);
const _: () = assert!(PropertyKind::ALL.len() < 16 && ManagementKind::ALL.len() < 8);

impl Row {
    /// A row of which only the position is known.
    pub fn new(lon: f64, lat: f64) -> Row {
        Row {
            lon,
            lat,
            code: CodeKey::default(),
            y: World::at(lon, lat).y,
            road: 0,
            cell: 0,
            version: 0,
            class: 0,
            condition: 0,
            kinds: 0,
            parties: 0,
        }
    }

    /// The row in a condition.
    pub fn in_condition(self, state: State, ownership: OwnershipStatus) -> Row {
        let condition = state as u8 | (ownership as u8) << 4;
        Row { condition, ..self }
    }

    /// The row of some kind; `shaped` says whether it is a line or polygon.
    pub fn of_kind(self, property: Option<PropertyKind>, management: Option<ManagementKind>, shaped: bool) -> Row {
        let property = property.map_or(0, |w| w as u8 + 1);
        let management = management.map_or(0, |w| w as u8 + 1);
        let kinds = property | management << 4 | u8::from(shaped) << 7;
        Row { kinds, ..self }
    }

    /// The row without what only its page can read: its code and its parties.
    pub fn alone(self) -> Row {
        Row {
            code: CodeKey::default(),
            parties: 0,
            ..self
        }
    }

    /// Its position as whole numbers.
    pub fn at(&self) -> World {
        World {
            x: World::x_at(self.lon),
            y: self.y,
        }
    }

    /// Number of the code's scheme in kept schemes; 0 is none.
    pub fn scheme(&self) -> u8 {
        self.code.scheme()
    }

    /// Condition.
    pub fn state(&self) -> State {
        State::from_number(self.state_number()).unwrap_or(State::Intact)
    }

    /// Number of [`Row::state`].
    pub fn state_number(&self) -> u8 {
        self.condition & 15
    }

    /// How far the owner is settled.
    pub fn ownership(&self) -> OwnershipStatus {
        OwnershipStatus::from_number(self.ownership_number()).unwrap_or(OwnershipStatus::Unsurveyed)
    }

    /// Number of [`Row::ownership`].
    pub fn ownership_number(&self) -> u8 {
        self.condition >> 4
    }

    /// One more than the number of 产权性质; 0 is none.
    pub fn property_number(&self) -> u8 {
        self.kinds & 15
    }

    /// One more than the number of 管理方式; 0 is none.
    pub fn management_number(&self) -> u8 {
        self.kinds >> 4 & 7
    }

    /// Whether it is a line or polygon, kept among the shapes.
    pub fn shaped(&self) -> bool {
        self.kinds >> 7 != 0
    }
}

/// The rows of 128 neighbouring ids, with their parties and texts.
#[derive(Clone, Debug, Default)]
struct Page {
    present: u128,
    rows: Vec<Row>,
    /// Neighbours mostly have the same: a few of them a page.
    parties: Vec<Parties>,
    /// The few that have a name of their own, by the last bits of their id.
    names: Vec<(u8, Span)>,
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

    fn name(&self, slot: u8) -> Option<&str> {
        let (_, span) = self.names.iter().find(|(s, _)| *s == slot)?;
        self.read(*span)
    }

    /// The place of some parties, new if need be.
    fn place_parties(&mut self, wanted: Parties) -> u8 {
        let known = |page: &Page| page.parties.iter().position(|p| *p == wanted);
        let place = known(self).unwrap_or_else(|| {
            let len = self.parties.len();
            if len >= 16 && len.is_power_of_two() {
                self.tidy_parties();
            }
            super::grow(&mut self.parties);
            self.parties.push(wanted);
            self.parties.len() - 1
        });
        // There are at most as many as rows, and before they are tidied twice as many: 256.
        place as u8
    }

    /// Drops the parties that no row has any longer.
    fn tidy_parties(&mut self) {
        let all = std::mem::take(&mut self.parties);
        for row in &mut self.rows {
            let parties = all.get(usize::from(row.parties)).copied().unwrap_or_default();
            let known = self.parties.iter().position(|p| *p == parties);
            row.parties = known.unwrap_or_else(|| {
                self.parties.push(parties);
                self.parties.len() - 1
            }) as u8;
        }
    }

    /// Keeps a text; a name that is there already only once.
    fn keep(&mut self, text: &str) -> Span {
        let text = &text[..text.floor_char_boundary(MAX_SPAN)];
        let known = self.names.iter().map(|(_, span)| *span);
        if let Some(span) = known.into_iter().find(|s| self.read(*s) == Some(text)) {
            return span;
        }
        let start = self.text.len();
        self.text.reserve_exact(text.len());
        self.text.push_str(text);
        Span((start as u32) << 12 | text.len() as u32)
    }

    fn key(&mut self, scheme: u8, code: Option<&str>) -> CodeKey {
        let Some(code) = code else {
            return CodeKey::text(scheme, Span::default());
        };
        CodeKey::digits(scheme, code).unwrap_or_else(|| CodeKey::text(scheme, self.keep(code)))
    }

    /// Whether a key stands for this code.
    fn says(&self, key: CodeKey, scheme: u8, code: Option<&str>) -> bool {
        match code.and_then(|c| CodeKey::digits(scheme, c)) {
            Some(digits) => digits == key,
            None => !key.is_digits() && key.scheme() == scheme && self.read(key.span()) == code,
        }
    }

    /// Gives a row a name in place of the one it has.
    fn call(&mut self, slot: u8, name: Option<&str>) {
        let span = name.map(|n| self.keep(n));
        self.names.retain(|(s, _)| *s != slot);
        self.names.extend(span.map(|span| (slot, span)));
    }

    /// Drops the texts that no row has any longer.
    fn tidy(&mut self) {
        let mut kept = Page {
            text: String::with_capacity(self.text.len()),
            ..Page::default()
        };
        for (slot, span) in &self.names {
            let span = self.read(*span).map_or(Span::default(), |s| kept.keep(s));
            kept.names.push((*slot, span));
        }
        for row in &mut self.rows {
            let (scheme, start, len) = (row.code.scheme(), row.code.span().0 >> 12, row.code.span().0 & 0xfff);
            if let Some(code) = self
                .text
                .get(start as usize..(start + len) as usize)
                .filter(|s| !s.is_empty())
            {
                row.code = CodeKey::text(scheme, kept.keep(code));
            }
        }
        (self.names, self.text) = (kept.names, kept.text);
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

    /// Who answers for it.
    pub fn parties(&self) -> Parties {
        let kept = self.page.parties.get(usize::from(self.row.parties));
        kept.copied().unwrap_or_default()
    }

    /// What tiles show of it besides its shape.
    pub fn drawn(&self) -> ([u64; 2], u16, u8, u32) {
        let at = [self.lon.to_bits(), self.lat.to_bits()];
        (at, self.class, self.condition, self.parties().owner)
    }

    /// Its own name.
    pub fn name(&self) -> Option<&'a str> {
        self.page.name(slot(self.id))
    }

    /// Its code.
    pub fn code(&self) -> Option<Cow<'a, str>> {
        let key = self.row.code;
        if key.is_digits() {
            let (number, length) = (key.0 & ((1 << LENGTH) - 1), (key.0 >> LENGTH & 15) as usize + 1);
            return Some(format!("{number:0length$}").into());
        }
        self.page.read(key.span()).map(Cow::Borrowed)
    }

    /// Whether its code is this one, under whatever scheme.
    pub fn has_code(&self, code: &str) -> bool {
        self.page.says(self.row.code, self.row.scheme(), Some(code))
    }
}

/// All rows by id. A copy shares its pages with the original.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pages: Paged<Arc<Page>>,
    len: usize,
}

fn split(id: u64) -> (u64, u128) {
    (id >> PAGE_BITS, 1 << slot(id))
}

fn slot(id: u64) -> u8 {
    (id & ((1 << PAGE_BITS) - 1)) as u8
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

    /// Takes a row out with its texts.
    pub fn remove(&mut self, id: u64) {
        let (number, bit) = split(id);
        let Some(page) = self.pages.get_mut(number).filter(|p| p.present & bit != 0) else {
            return;
        };
        let page = Arc::make_mut(page);
        page.call(slot(id), None);
        page.rows.remove(page.place(bit));
        page.present &= !bit;
        page.tidy();
        self.len -= 1;
        if page.present == 0 {
            self.pages.remove(number);
        }
    }

    /// Puts a row in, in place of the one with its id, with its parties, its name, and its code with the number of its scheme.
    pub fn set(&mut self, id: u64, row: &Row, parties: Parties, name: Option<&str>, code: Option<(u8, &str)>) {
        let (number, bit) = split(id);
        let page = Arc::make_mut(self.pages.or_insert(number, Arc::default));
        let (place, slot) = (page.place(bit), slot(id));
        let (name, (scheme, code)) = (
            name.filter(|n| !n.is_empty()),
            code.map_or((0, None), |(s, c)| (s, Some(c))),
        );
        if page.present & bit == 0 {
            // Doubling ends at a full page, which nearly all are.
            page.rows.insert(place, row.alone());
            page.present |= bit;
            self.len += 1;
        }
        let old = page.rows[place].code;
        let said = page.name(slot) == name && page.says(old, scheme, code);
        let had_text = page.name(slot).is_some() || old.span() != Span::default();
        let code = if said { old } else { page.key(scheme, code) };
        let parties = page.place_parties(parties);
        page.rows[place] = Row { code, parties, ..*row };
        if !said {
            page.call(slot, name);
            if had_text {
                page.tidy();
            }
        }
    }
}

#[cfg(test)]
mod tests;
