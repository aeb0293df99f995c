//! Texts kept once: names repeat, so a component holds four bytes for each.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Distinct texts by number; 0 is "none".
#[derive(Debug, Default)]
pub struct Texts {
    texts: Vec<Box<str>>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Texts {
    /// The number of a text, kept from now on.
    pub fn keep(&mut self, text: Option<&str>) -> u32 {
        let Some(text) = text else { return 0 };
        let hash = self.hasher.hash_one(text);
        let texts = &mut self.texts;
        if let Some(n) = self.numbers.find(hash, |n| &*texts[*n as usize - 1] == text) {
            return *n;
        }
        texts.push(text.into());
        let number = u32::try_from(texts.len()).unwrap_or(0);
        let hasher = &self.hasher;
        self.numbers
            .insert_unique(hash, number, |n| hasher.hash_one(&*texts[*n as usize - 1]));
        number
    }

    /// The number of a text that is kept already.
    pub fn find(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        self.numbers
            .find(hash, |n| &*self.texts[*n as usize - 1] == text)
            .copied()
    }

    /// The text of a number.
    pub fn get(&self, number: u32) -> Option<&str> {
        self.texts.get((number as usize).checked_sub(1)?).map(|t| &**t)
    }

    /// The numbers of the texts that contain a part, compared without regard to ASCII case.
    pub fn containing(&self, part: &str) -> hashbrown::HashSet<u32> {
        let part = part.to_ascii_lowercase();
        let hits = self
            .texts
            .iter()
            .enumerate()
            .filter(|(_, t)| t.to_ascii_lowercase().contains(&part));
        hits.map(|(i, _)| i as u32 + 1).collect()
    }
}
