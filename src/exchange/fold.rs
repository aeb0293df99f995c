//! Text as clerks type it: full-width digits, apostrophes that keep a spreadsheet from counting, traditional characters.

use std::borrow::Cow;

/// A code, number or day without what surrounds it and in ASCII where it is full-width: `'１２０１０３` is `120103`, `="0118"` is `0118`.
/// Text in which nothing of the kind stands is not copied.
pub fn plain(s: &str) -> Cow<'_, str> {
    let mut own = s.trim_matches(outside);
    if let Some(inner) = own.strip_prefix("=\"").and_then(|r| r.strip_suffix('"')) {
        own = inner;
    }
    // What a spreadsheet puts before a number to keep it text.
    own = own
        .trim_start_matches(['\'', '’', '‘', '`', '＇'])
        .trim_matches(outside);
    if own.is_ascii() {
        return Cow::Borrowed(own);
    }
    Cow::Owned(own.chars().filter(|c| !invisible(*c)).map(half).collect())
}

/// White space, and marks that nobody sees.
fn outside(c: char) -> bool {
    c.is_whitespace() || invisible(c)
}

fn invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}')
}

/// The half-width form of a full-width character.
fn half(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        '。' => '.',
        _ => c,
    }
}

/// A word so that spellings of it are equal: half-width, lower case, simplified, without white space. Some microseconds.
pub fn fold(s: &str) -> String {
    let half: String = plain(s).chars().filter(|c| !c.is_whitespace()).map(half).collect();
    if half.is_ascii() {
        return half.to_ascii_lowercase();
    }
    hanconv::t2s(half.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_word_are_equal() {
        for (typed, meant) in [
            ("'1201030118000001", "1201030118000001"),
            ("\t１２０１０３\u{3000}", "120103"),
            ("=\"0118\"", "0118"),
            ("\u{feff}39。5", "39.5"),
            ("", ""),
        ] {
            assert_eq!(plain(typed), meant, "{typed}");
        }
        assert_eq!(fold("區城市管理委員會"), fold("区城市管理委员会"));
        assert_eq!(fold(" 路 燈 "), "路灯");
        assert_eq!(fold("ＯｂｊＩＤ"), "objid");
    }
}
