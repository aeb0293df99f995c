//! Properties of components as they stand in a tile.

use hashbrown::HashMap;

use crate::domain::word::{OwnershipStatus, State};
use crate::index::Memory;
use crate::index::pyramid::Mark;
use crate::tile::mvt::{self, Value};

/// The encoded properties of a layer's components: few combinations, each made once a tile.
pub(super) struct Tags<'a> {
    memory: &'a Memory,
    /// [`mvt::Layer::rewinds`] when the first was made: after another the numbers mean nothing any longer.
    rewinds: u32,
    keys: [u32; 4],
    /// The numbers in the tile of words, by the place of their key and their number in the register.
    words: Vec<((usize, u32), u32)>,
    bytes: Vec<u8>,
    made: HashMap<Alike, Span>,
    /// Some of those made, found without a search.
    near: [(Alike, Span); NEAR],
}

/// What components have in common whose properties are the same: their mark and their owner.
type Alike = (Mark, u32);
/// A part of [`Tags::bytes`]; empty is none.
type Span = (u32, u32);

const NEAR: usize = 64;

fn place_near((mark, owner): Alike) -> usize {
    let mixed = u32::from(mark.class) ^ u32::from(mark.state) << 3 ^ u32::from(mark.ownership) ^ owner.wrapping_mul(13);
    mixed as usize % NEAR
}

impl<'a> Tags<'a> {
    /// None made yet.
    pub(super) fn new(memory: &'a Memory, drawing: &mut mvt::Layer<'a>) -> Tags<'a> {
        Tags {
            memory,
            rewinds: drawing.rewinds(),
            keys: ["class", "state", "ownership_status", "owner"].map(|k| drawing.key(k)),
            // Room for what a tile of some hundred points has: growing would cost more than writing them.
            words: Vec::with_capacity(32),
            bytes: Vec::with_capacity(512),
            made: HashMap::with_capacity(56),
            near: [((Mark::default(), 0), (0, 0)); NEAR],
        }
    }

    /// Those of a mark and an owner, for [`mvt::Layer::tagged_point`].
    pub(super) fn of(&mut self, drawing: &mut mvt::Layer<'a>, mark: Mark, owner: u32) -> &[u8] {
        if self.rewinds != drawing.rewinds() {
            *self = Tags::new(self.memory, drawing);
        }
        let (alike, place) = ((mark, owner), place_near((mark, owner)));
        if self.near[place].0 != alike || self.near[place].1 == (0, 0) {
            let known = self.made.get(&alike).copied();
            self.near[place] = (alike, known.unwrap_or_else(|| self.make(drawing, alike)));
        }
        let (from, to) = self.near[place].1;
        &self.bytes[from as usize..to as usize]
    }

    fn make(&mut self, drawing: &mut mvt::Layer<'a>, (mark, owner): Alike) -> Span {
        let from = self.bytes.len() as u32;
        let numbers = [mark.class.into(), mark.state.into(), mark.ownership.into(), owner];
        for (place, number) in numbers.into_iter().enumerate() {
            // No owner is no property; the other words are always there.
            if place < 3 || number != 0 {
                let value = self.word(drawing, place, number);
                drawing.tag_numbers(self.keys[place], value);
            }
        }
        drawing.move_tags(&mut self.bytes);
        let span = (from, self.bytes.len() as u32);
        self.made.insert((mark, owner), span);
        span
    }

    fn word(&mut self, drawing: &mut mvt::Layer<'a>, place: usize, number: u32) -> u32 {
        if let Some((_, known)) = self.words.iter().find(|(word, _)| *word == (place, number)) {
            return *known;
        }
        let memory = self.memory;
        let (small, id) = (number as u8, i32::try_from(number).unwrap_or(0));
        let text = match place {
            0 => memory.classes.get(&id).map(|c| c.code.as_str()),
            1 => State::from_number(small).map(State::key),
            2 => OwnershipStatus::from_number(small).map(OwnershipStatus::key),
            _ => memory.parties.get(&id).map(|p| p.code.as_str()),
        };
        let value = drawing.value(Value::Text(text.unwrap_or_default()));
        self.words.push(((place, number), value));
        value
    }
}
