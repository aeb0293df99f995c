//! The class dictionary: what kinds of components there are, and which attributes each declares.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::text::{Fault, Lang, Text};
use super::word::{Accuracy, GeometryKind};
use crate::text;

/// What values an attribute takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttributeKind {
    /// Any text up to 1,000 characters.
    Text,
    /// A whole number between -2^53 and 2^53.
    Integer,
    /// A finite number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A calendar day, `2026-03-05`.
    Date,
    /// One of the declared codes.
    Code,
}

/// One entry of an attribute's code list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeCode {
    /// The code as stored.
    pub code: String,
    /// 中文名.
    pub zh: String,
    /// English name.
    pub en: String,
}

/// An attribute that a class declares beyond what every component has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// The key in `attributes`.
    pub name: String,
    /// 中文名.
    pub zh: String,
    /// English name.
    pub en: String,
    /// What values it takes.
    pub kind: AttributeKind,
    /// Unit of a number: `m`, `m2`, `W`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The code list of a `code`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<AttributeCode>,
    /// Whether every component of the class must have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

/// An entry of a versioned class dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// The register's number of the class.
    pub id: i32,
    /// The dictionary, such as `CJT214-2007`.
    pub scheme: String,
    /// The code in it, such as `0118`.
    pub code: String,
    /// 中文名.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
    /// Major class 大类, such as `01`; empty where the dictionary has none.
    pub major: String,
    /// The shapes that its components may have.
    pub geometry: Vec<GeometryKind>,
    /// Accuracy class of its positions, where a source states one.
    pub accuracy: Option<Accuracy>,
    /// The attributes it declares.
    pub attributes: Vec<Attribute>,
    /// Whether only callers with a right to the class may see its components.
    pub restricted: bool,
    /// The class of the built-in dictionary that it maps to, if it is another dictionary's.
    pub base: Option<i32>,
}

impl Class {
    /// The name in a language.
    pub fn name(&self, lang: Lang) -> &str {
        lang.pick(&self.name_zh, &self.name_en)
    }

    /// Everything that is wrong with the attributes of a component of this class. `pointer` is the JSON pointer of the object.
    ///
    /// Undeclared attributes are allowed (sources have many), as long as they are flat: text, number, boolean or null.
    pub fn check_attributes(&self, attributes: &Map<String, Value>, pointer: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let place = |name: &str| format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        if attributes.len() > MAX_ATTRIBUTES {
            let (n, max) = (attributes.len(), MAX_ATTRIBUTES);
            faults.push(Fault::new(
                pointer,
                text!("共有{n}个属性，最多{max}个", "{n} attributes; at most {max} are kept"),
            ));
        }
        for (name, value) in attributes {
            let fault = match self.attributes.iter().find(|a| a.name == *name) {
                Some(_) if value.is_null() => None,
                Some(declared) => declared.check(value).err(),
                None => check_undeclared(value).err(),
            };
            faults.extend(fault.map(|detail| Fault::new(place(name), detail)));
        }
        for declared in self.attributes.iter().filter(|a| a.required) {
            if attributes.get(&declared.name).is_none_or(Value::is_null) {
                let (zh, en) = (&declared.zh, &declared.en);
                faults.push(Fault::new(
                    place(&declared.name),
                    text!("缺少必填属性“{zh}”", "the required attribute \"{en}\" is missing"),
                ));
            }
        }
        faults
    }
}

/// The most attributes that one component keeps.
pub const MAX_ATTRIBUTES: usize = 100;
const MAX_TEXT: usize = 1000;

fn check_undeclared(value: &Value) -> Result<(), Text> {
    match value {
        Value::String(s) => check_text(s),
        Value::Array(_) | Value::Object(_) => Err(text!(
            "未声明的属性应为文本、数字、布尔值或空值",
            "an undeclared attribute should be text, a number, true, false or null"
        )),
        _ => Ok(()),
    }
}

fn check_text(s: &str) -> Result<(), Text> {
    let n = s.chars().count();
    if n > MAX_TEXT {
        return Err(text!(
            "文本有{n}个字符，最多{MAX_TEXT}个",
            "the text has {n} characters; at most {MAX_TEXT} are kept"
        ));
    }
    if s.contains('\0') {
        return Err(Text::new("文本不可含空字符", "the text cannot contain a NUL character"));
    }
    Ok(())
}

impl Attribute {
    /// Whether a value is one that the declaration allows.
    pub fn check(&self, value: &Value) -> Result<(), Text> {
        const EXACT: i64 = 1 << 53;
        let (ok, zh, en) = match self.kind {
            AttributeKind::Text => match value.as_str() {
                Some(s) => return check_text(s),
                None => (false, "文本".to_owned(), "text".to_owned()),
            },
            AttributeKind::Integer => (
                value.as_i64().is_some_and(|n| (-EXACT..=EXACT).contains(&n)),
                "整数".to_owned(),
                "a whole number".to_owned(),
            ),
            AttributeKind::Number => (
                value.as_f64().is_some_and(f64::is_finite),
                "数字".to_owned(),
                "a number".to_owned(),
            ),
            AttributeKind::Boolean => (
                value.is_boolean(),
                "true 或 false".to_owned(),
                "true or false".to_owned(),
            ),
            AttributeKind::Date => (
                value
                    .as_str()
                    .is_some_and(|s| NaiveDate::parse_from_str(s, "%Y-%m-%d").is_ok()),
                "日期，如 2026-03-05".to_owned(),
                "a day such as 2026-03-05".to_owned(),
            ),
            AttributeKind::Code => {
                let known: Vec<&str> = self.codes.iter().map(|c| c.code.as_str()).collect();
                let list = known.join(", ");
                (
                    value.as_str().is_some_and(|s| known.contains(&s)),
                    format!("其中之一：{list}"),
                    format!("one of {list}"),
                )
            }
        };
        if ok {
            return Ok(());
        }
        let (name_zh, name_en) = (&self.zh, &self.en);
        Err(text!(
            "“{name_zh}”不可为 {value}，应为{zh}",
            "\"{name_en}\" cannot be {value}; it should be {en}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lamp() -> Class {
        let attributes = json!([
            {"name": "wattage", "zh": "功率", "en": "wattage", "kind": "number", "unit": "W", "required": true},
            {"name": "source", "zh": "光源", "en": "light source", "kind": "code", "codes": [{"code": "led", "zh": "LED", "en": "LED"}]},
            {"name": "lit_on", "zh": "投运日期", "en": "lit on", "kind": "date"}
        ]);
        Class {
            id: 1,
            scheme: "CJT214-2007".into(),
            code: "0118".into(),
            name_zh: "路灯".into(),
            name_en: "street lamp".into(),
            major: "01".into(),
            geometry: vec![GeometryKind::Point],
            accuracy: None,
            attributes: serde_json::from_value(attributes).unwrap(),
            restricted: false,
            base: None,
        }
    }

    fn faults(value: Value) -> Vec<String> {
        lamp()
            .check_attributes(value.as_object().unwrap(), "/properties/attributes")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn all_faults_are_named_at_once() {
        assert_eq!(
            faults(json!({"source": "gas", "lit_on": "2026-02-30", "a/b": [1]})),
            [
                "/properties/attributes/source: \"light source\" cannot be \"gas\"; it should be one of led",
                "/properties/attributes/lit_on: \"lit on\" cannot be \"2026-02-30\"; it should be a day such as 2026-03-05",
                "/properties/attributes/a~1b: an undeclared attribute should be text, a number, true, false or null",
                "/properties/attributes/wattage: the required attribute \"wattage\" is missing",
            ]
        );
        assert_eq!(
            faults(json!({"wattage": 100, "source": "led", "remark": "ok"})),
            Vec::<String>::new()
        );
    }
}
