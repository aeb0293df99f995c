//! Which components have a code: eight bytes each.

use std::sync::Arc;

use imbl::Vector;
use xxhash_rust::xxh3::xxh3_64;

/// Ids by the hash of their code, in shards that are few and small; one shard is split for every shard's worth that is added
/// (linear hashing, Litwin 1980). Each entry carries a few more bits of the hash beside its id, so that a look-up reads hardly any
/// component that is not meant.
#[derive(Clone, Debug, Default)]
pub struct Codes {
    shards: Vector<Arc<[u64]>>,
    len: usize,
}

/// Entries a shard, on average.
const FULL: usize = 64;
/// Ids stay below 2^53; what is above is a tag.
const ID: u64 = (1 << 53) - 1;

fn tagged(id: u64, hash: u64) -> u64 {
    id & ID | hash & !ID
}

/// Which of so many shards a hash belongs to; there is at least one.
fn shard(hash: u64, shards: usize) -> usize {
    let shards = shards as u64;
    let low = 1 << shards.ilog2();
    let wide = hash & (2 * low - 1);
    (if wide < shards { wide } else { wide - low }) as usize
}

impl Codes {
    /// The codes of many components at once, each as [`Codes::hash`] and id. Cost: about 0.1 µs each.
    pub fn of(mut all: Vec<(u64, u64)>) -> Codes {
        let (len, shards) = (all.len(), all.len().div_ceil(FULL));
        all.sort_unstable_by_key(|(hash, id)| (shard(*hash, shards), *id));
        let mut rest = &all[..];
        let shards = (0..shards).map(|number| {
            let here = rest
                .iter()
                .take_while(|(hash, _)| shard(*hash, shards) == number)
                .count();
            let (entries, after) = rest.split_at(here);
            rest = after;
            entries.iter().map(|(hash, id)| tagged(*id, *hash)).collect()
        });
        Codes {
            shards: shards.collect(),
            len,
        }
    }

    /// Notes that a component has a code. `code_of` reads the code of one that is noted already.
    pub fn add(&mut self, code: &str, id: u64, code_of: impl Fn(u64) -> Option<u64>) {
        if self.len >= self.shards.len() * FULL {
            self.split(code_of);
        }
        let hash = Codes::hash(code);
        let at = shard(hash, self.shards.len());
        if let Some(shard) = self.shards.get_mut(at) {
            *shard = shard.iter().copied().chain([tagged(id, hash)]).collect();
            self.len += 1;
        }
    }

    /// What [`Codes::add`] wants of a code that is noted already.
    pub fn hash(code: &str) -> u64 {
        xxh3_64(code.as_bytes())
    }

    /// Forgets that a component has a code.
    pub fn remove(&mut self, code: &str, id: u64) {
        if self.shards.is_empty() {
            return;
        }
        let hash = Codes::hash(code);
        let at = shard(hash, self.shards.len());
        if let Some(shard) = self.shards.get_mut(at) {
            let before = shard.len();
            *shard = shard.iter().copied().filter(|e| *e != tagged(id, hash)).collect();
            self.len -= before - shard.len();
        }
    }

    /// The components that may have a code, and now and then one that has not.
    pub fn candidates(&self, code: &str) -> impl Iterator<Item = u64> + '_ {
        let hash = Codes::hash(code);
        let shard = (!self.shards.is_empty()).then(|| self.shards.get(shard(hash, self.shards.len())));
        let entries = shard.flatten().into_iter().flat_map(|s| s.iter());
        entries.filter(move |e| **e & !ID == hash & !ID).map(|e| e & ID)
    }

    fn split(&mut self, hash_of: impl Fn(u64) -> Option<u64>) {
        let shards = self.shards.len();
        self.shards.push_back(Arc::new([]));
        if shards == 0 {
            return;
        }
        let from = shards - (1 << shards.ilog2());
        let Some(old) = self.shards.get(from).cloned() else {
            return;
        };
        let (mut stay, mut go) = (Vec::new(), Vec::new());
        for entry in old.iter() {
            let goes = hash_of(entry & ID).is_some_and(|hash| shard(hash, shards + 1) == shards);
            (if goes { &mut go } else { &mut stay }).push(*entry);
        }
        self.shards.set(from, stay.into());
        self.shards.set(shards, go.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hashbrown::HashMap;

    #[test]
    fn every_code_is_found_while_shards_split_and_few_others_are() {
        let (mut codes, mut known) = (Codes::default(), HashMap::new());
        for id in 0..5000u64 {
            let code = format!("K{}", id / 2);
            codes.add(&code, id, |i| known.get(&i).map(|c: &String| Codes::hash(c)));
            known.insert(id, code);
        }
        let mut false_ones = 0;
        for id in 0..5000u64 {
            let found: Vec<u64> = codes.candidates(&known[&id]).collect();
            assert!(found.contains(&id), "{id}");
            false_ones += found.iter().filter(|i| known[*i] != known[&id]).count();
            if id % 3 == 0 {
                codes.remove(&known[&id], id);
                assert!(!codes.candidates(&known[&id]).any(|i| i == id));
                codes.add(&known[&id].clone(), id, |i| known.get(&i).map(|c| Codes::hash(c)));
            }
        }
        assert!(false_ones < 500, "{false_ones}");
        assert_eq!(codes.len, 5000);

        // At once, and then one by one.
        let mut codes = Codes::of((0..4000).map(|id| (Codes::hash(&known[&id]), id)).collect());
        for id in 4000..5000 {
            codes.add(&known[&id], id, |i| known.get(&i).map(|c| Codes::hash(c)));
        }
        assert_eq!(codes.len, 5000);
        for (id, code) in &known {
            assert!(codes.candidates(code).any(|i| i == *id), "{id}");
        }
    }
}
