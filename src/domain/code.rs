//! Codes: what is printed on a thing, always under a scheme, never an identity.

use super::text::Text;
use super::word::AreaLevel;
use crate::text;

/// The scheme of the built-in class dictionary and of component codes made of it.
pub const CJT214: &str = "CJT214-2007";
/// The built-in scheme for classes that no national list has (berth, shop sign, charger, …).
pub const LOCAL: &str = "LOCAL-LAMPPOST";
/// 14-digit unit grids: 6 district + 3 street + 3 community + 2 serial. Source: deployed systems (CJ/T 213-2005).
pub const CJT213: &str = "CJT213-2005";
/// 15-digit unit grids: 6 district + 3 street + 3 community + 3 serial. Source: a local standard's text (GB/T 30428.1-2013).
pub const GBT30428_1: &str = "GBT30428.1-2013";
/// 16-digit component codes with the layout of CJ/T 214, whose class list the register does not have.
pub const GBT30428_2: &str = "GBT30428.2-2013";

/// The name of a versioned code system: `CJT214-2007`, `LOCAL-HEXI-2026`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scheme(String);

impl Scheme {
    /// Reads a scheme name: 2 to 40 of `A-Z 0-9 . -`, a letter first.
    pub fn parse(s: &str) -> Result<Scheme, Text> {
        let ok = (2..=40).contains(&s.len())
            && s.starts_with(|c: char| c.is_ascii_uppercase())
            && s.chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '.' || c == '-');
        if ok {
            Ok(Scheme(s.to_owned()))
        } else {
            Err(text!(
                "编码体系“{s}”应为2至40位大写字母、数字、点或横线，以字母开头，例如 LOCAL-HEXI-2026",
                "scheme \"{s}\" should be 2 to 40 upper-case letters, digits, dots or hyphens starting with a letter, such as LOCAL-HEXI-2026"
            ))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A scheme of the city's own, whose codes have no fixed layout.
    pub fn is_local(&self) -> bool {
        !matches!(self.0.as_str(), CJT213 | CJT214 | GBT30428_1 | GBT30428_2)
    }
}

/// Free codes: 1 to 64 characters, none of them a space or a control character.
fn free(what: (&str, &str), s: &str) -> Result<(), Text> {
    let n = s.chars().count();
    if n == 0 || n > 64 || s.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let (zh, en) = what;
        Err(text!(
            "{zh}“{s}”应为1至64个字符，不含空白",
            "{en} \"{s}\" should be 1 to 64 characters without spaces"
        ))
    } else {
        Ok(())
    }
}

fn digits(what: (&str, &str), s: &str, lengths: &[usize], layout: (&str, &str)) -> Result<(), Text> {
    if lengths.contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    let ((zh, en), (layout_zh, layout_en), n) = (what, layout, s.chars().count());
    Err(text!(
        "{zh}“{s}”有{n}个字符，应为{layout_zh}",
        "{en} \"{s}\" has {n} characters; it should be {layout_en}"
    ))
}

/// A component code 标识码 under its scheme.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentCode {
    scheme: Scheme,
    code: String,
}

impl ComponentCode {
    /// Reads a code. `CJT214-2007` and `GBT30428.2-2013`: 16 digits, 6 district + 2 major + 2 minor + 6 serial; other schemes:
    /// 1 to 64 characters without spaces.
    ///
    /// ```
    /// use lamppost::domain::code::{CJT214, ComponentCode, Scheme};
    /// let code = ComponentCode::parse(Scheme::parse(CJT214).unwrap(), "3205080101000001").unwrap();
    /// assert_eq!((code.district(), code.class()), (Some("320508"), Some("0101")));
    /// ```
    pub fn parse(scheme: Scheme, code: &str) -> Result<ComponentCode, Text> {
        let what = ("标识码", "code");
        if scheme.is_local() {
            free(what, code)?;
        } else {
            digits(
                what,
                code,
                &[16],
                (
                    "16位数字：6位区划+2位大类+2位小类+6位顺序号",
                    "16 digits: 6 district + 2 major + 2 minor + 6 serial",
                ),
            )?;
        }
        Ok(ComponentCode {
            scheme,
            code: code.to_owned(),
        })
    }

    /// The scheme it stands under.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The code itself.
    pub fn as_str(&self) -> &str {
        &self.code
    }

    /// The 6-digit district of a national code.
    pub fn district(&self) -> Option<&str> {
        if self.scheme.is_local() {
            None
        } else {
            self.code.get(..6)
        }
    }

    /// The 4-digit class of a national code.
    pub fn class(&self) -> Option<&str> {
        if self.scheme.is_local() {
            None
        } else {
            self.code.get(6..10)
        }
    }
}

/// A class code 小类 under its dictionary: 4 digits in `CJT214-2007`, otherwise 1 to 64 characters without spaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassCode {
    scheme: Scheme,
    code: String,
}

impl ClassCode {
    /// Reads a class code.
    pub fn parse(scheme: Scheme, code: &str) -> Result<ClassCode, Text> {
        let what = ("小类代码", "class code");
        if scheme.as_str() == CJT214 {
            digits(
                what,
                code,
                &[4],
                ("4位数字：2位大类+2位小类", "4 digits: 2 major + 2 minor"),
            )?;
        } else {
            free(what, code)?;
        }
        Ok(ClassCode {
            scheme,
            code: code.to_owned(),
        })
    }

    /// The dictionary.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The code itself.
    pub fn as_str(&self) -> &str {
        &self.code
    }
}

/// An area code 区划代码: 6, 9 or 12 digits (district, street, community), or a city's own of 1 to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AreaCode(String);

impl AreaCode {
    /// Reads an area code.
    pub fn parse(s: &str) -> Result<AreaCode, Text> {
        free(("区划代码", "area code"), s)?;
        Ok(AreaCode(s.to_owned()))
    }

    /// The code itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the number of digits says: 6 district, 9 street, 12 community; nothing for a city's own code.
    pub fn level(&self) -> Option<AreaLevel> {
        if !self.0.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        match self.0.len() {
            6 => Some(AreaLevel::District),
            9 => Some(AreaLevel::Street),
            12 => Some(AreaLevel::Community),
            _ => None,
        }
    }
}

/// A unit-grid code 单元网格标识码 under its scheme.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellCode {
    scheme: Scheme,
    code: String,
}

impl CellCode {
    /// Reads a cell code: 14 digits in `CJT213-2005`, 15 in `GBT30428.1-2013`, otherwise 1 to 64 characters without spaces.
    pub fn parse(scheme: Scheme, code: &str) -> Result<CellCode, Text> {
        let what = ("单元网格标识码", "cell code");
        match scheme.as_str() {
            CJT213 => digits(
                what,
                code,
                &[14],
                (
                    "14位数字：12位社区+2位顺序号",
                    "14 digits: 12 of the community + 2 serial",
                ),
            )?,
            GBT30428_1 => digits(
                what,
                code,
                &[15],
                (
                    "15位数字：12位社区+3位顺序号",
                    "15 digits: 12 of the community + 3 serial",
                ),
            )?,
            _ => free(what, code)?,
        }
        Ok(CellCode {
            scheme,
            code: code.to_owned(),
        })
    }

    /// The scheme it stands under.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The code itself.
    pub fn as_str(&self) -> &str {
        &self.code
    }

    /// The 12-digit community of a national code.
    pub fn community(&self) -> Option<&str> {
        if self.scheme.is_local() {
            None
        } else {
            self.code.get(..12)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scheme(s: &str) -> Scheme {
        Scheme::parse(s).unwrap()
    }

    #[test]
    fn a_rounded_or_short_code_says_what_it_should_be() {
        let fault = ComponentCode::parse(scheme(CJT214), "1.20103E+15").unwrap_err();
        assert_eq!(
            fault.en,
            "code \"1.20103E+15\" has 11 characters; it should be 16 digits: 6 district + 2 major + 2 minor + 6 serial"
        );
        assert!(CellCode::parse(scheme(GBT30428_1), "12010300100101").is_err());
        assert!(CellCode::parse(scheme(CJT213), "12010300100101").is_ok());
    }

    #[test]
    fn an_area_code_knows_its_level_by_its_digits() {
        let level = |s| AreaCode::parse(s).unwrap().level();
        assert_eq!(level("330102"), Some(AreaLevel::District));
        assert_eq!(level("330102016"), Some(AreaLevel::Street));
        assert_eq!(level("330102016001"), Some(AreaLevel::Community));
        assert_eq!(level("SQ-3"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_either_refused_or_kept_unchanged(s in "\\PC{0,80}", national in any::<bool>()) {
            let name = if national { CJT214 } else { LOCAL };
            if let Ok(code) = ComponentCode::parse(scheme(name), &s) {
                prop_assert_eq!(code.as_str(), &s);
                if national { prop_assert_eq!(code.district().map(str::len), Some(6)); }
            }
        }

        #[test]
        fn sixteen_digits_split_and_join(s in "[0-9]{16}") {
            let code = ComponentCode::parse(scheme(CJT214), &s).unwrap();
            prop_assert_eq!(format!("{}{}{}", code.district().unwrap(), code.class().unwrap(), &s[10..]), s);
        }

        #[test]
        fn scheme_names_never_panic(s in "\\PC{0,60}") { let _ = Scheme::parse(&s); }
    }
}
