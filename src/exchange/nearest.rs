//! The known word nearest to one that is not known.

use std::borrow::Cow;

use crate::domain::text::Text;
use crate::text;

/// A value as a fault shows it: its first 60 characters.
pub fn shown(value: &str) -> Cow<'_, str> {
    match value.char_indices().nth(60) {
        Some((end, _)) => Cow::Owned(format!("{}…", &value[..end])),
        None => Cow::Borrowed(value),
    }
}

/// The known word with the fewest edits to `word`, if it is near enough to be meant; else the shortest that it abbreviates, as 区城管委
/// does 河西区城市管理委员会. O(known × length²).
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    let mut best: Option<(usize, &str)> = None;
    let mut longer: Option<(usize, &str)> = None;
    for name in known {
        let candidate: Vec<char> = name.to_lowercase().chars().collect();
        let edits = distance(&word, &candidate);
        let near = edits <= word.len().max(candidate.len()) / 2;
        if near && best.is_none_or(|(n, b)| (edits, name) < (n, b)) {
            best = Some((edits, name));
        }
        if abbreviates(&word, &candidate) && longer.is_none_or(|(n, l)| (candidate.len(), name) < (n, l)) {
            longer = Some((candidate.len(), name));
        }
    }
    best.or(longer).map(|(_, name)| name)
}

/// Whether the characters of a word stand in a longer one in their order.
fn abbreviates(word: &[char], long: &[char]) -> bool {
    let mut rest = long.iter();
    word.len() >= 3 && word.iter().all(|c| !c.is_ascii() && rest.any(|l| l == c))
}

/// "did you mean …", or nothing.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Text {
    match nearest(word, known) {
        Some(best) => text!("，是否为“{best}”？", "; do you mean \"{best}\"?"),
        None => Text::new("", ""),
    }
}

fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_neighbour_and_a_foreign_one_none() {
        assert_eq!(nearest("TreeId", ["Dist", "TreeID", "Region"]), Some("TreeID"));
        assert_eq!(
            nearest("区市政养护", ["区市政养护所", "电力公司"]),
            Some("区市政养护所")
        );
        assert_eq!(nearest("zzzz", ["Dist", "TreeID"]), None);
        assert_eq!(
            nearest(
                "区城管委",
                ["河西区城市管理委员会", "河西区城市建设投资公司", "区水务局"]
            ),
            Some("河西区城市管理委员会")
        );
    }
}
