//! What can be wrong with a filter, said kindly. Places are characters of the text, counted from 1.

use super::field::{Field, Kind};
use super::literal::Literal;
use crate::domain::text::{Fault, Text};
use crate::text;

/// How much of what was sent a message repeats.
const EXCERPT: usize = 30;

fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(EXCERPT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn keys(fields: &[Field]) -> String {
    fields.iter().map(|f| f.key()).collect::<Vec<_>>().join(", ")
}

fn fault(detail: Text) -> Fault {
    Fault::new("filter", detail)
}

fn placed(at: usize, detail: Text) -> Fault {
    let (zh, en) = (detail.zh, detail.en);
    fault(text!("第{at}个字符处：{zh}", "at character {at}: {en}"))
}

pub(super) fn too_long(limit: usize, length: usize) -> Fault {
    fault(text!(
        "筛选条件有{length}个字符，最多{limit}个",
        "the filter has {length} characters; {limit} are the most"
    ))
}

pub(super) fn too_many(at: usize, limit: usize) -> Fault {
    placed(
        at,
        text!(
            "属性或值多于{limit}个，请拆成几次查询",
            "more than {limit} properties or values; ask in several requests"
        ),
    )
}

pub(super) fn too_nested(at: usize, limit: usize) -> Fault {
    placed(
        at,
        text!(
            "括号与 NOT 嵌套多于{limit}层",
            "brackets and NOT are nested more than {limit} deep"
        ),
    )
}

/// `rest` is the text from there on.
pub(super) fn unreadable(at: usize, rest: &str) -> Fault {
    let found = excerpt(rest.trim());
    let detail = match found.is_empty() {
        true => text!(
            "条件没有写完；写法如 state = 'damaged' AND version > 1",
            "the filter is not finished; write as in state = 'damaged' AND version > 1"
        ),
        false => text!(
            "从“{found}”起读不懂；写法如 state = 'damaged' AND version > 1",
            "cannot be read from \"{found}\" on; write as in state = 'damaged' AND version > 1"
        ),
    };
    placed(at, detail)
}

pub(super) fn open_quote(at: usize, quote: char) -> Fault {
    placed(
        at,
        text!(
            "引号 {quote} 没有闭合；文字中的引号须写两次",
            "the quote {quote} is not closed; a quote inside is written twice"
        ),
    )
}

/// `compared`: it follows a comparison, where a text without quotes may be meant.
pub(super) fn unknown(at: usize, name: &str, allowed: &[Field], compared: bool) -> Fault {
    let (name, keys) = (excerpt(name), keys(allowed));
    let Text { mut zh, mut en } = text!(
        "没有属性“{name}”；可用 {keys}",
        "there is no property \"{name}\"; there are {keys}"
    );
    if compared {
        zh += &format!("；如果是文字，应写作 '{name}'");
        en += &format!("; if it is text, write '{name}'");
    }
    placed(at, Text { zh, en })
}

pub(super) fn function(at: usize, name: &str) -> Fault {
    let name = excerpt(name);
    placed(
        at,
        text!(
            "不支持函数“{name}”；位置用 bbox、near、within-area 参数，时间用 datetime 参数",
            "functions such as \"{name}\" are not understood; parameters bbox, near and within-area ask for places, datetime for times"
        ),
    )
}

pub(super) fn arithmetic(at: usize, sign: &str) -> Fault {
    placed(
        at,
        text!(
            "不支持计算“{sign}”；请把属性直接与一个值比较",
            "there is no arithmetic (\"{sign}\"); compare a property with a plain value"
        ),
    )
}

pub(super) fn two_properties(at: usize) -> Fault {
    placed(
        at,
        text!(
            "这里应为一个值，不能是另一个属性；文字须加单引号",
            "here stands a value, not another property; text is written in single quotes"
        ),
    )
}

pub(super) fn no_condition(at: usize) -> Fault {
    placed(
        at,
        text!(
            "这里应为一个条件，如 state = 'damaged'",
            "here stands a condition, such as state = 'damaged'"
        ),
    )
}

pub(super) fn no_operand(at: usize) -> Fault {
    placed(
        at,
        text!(
            "这里应为一个属性或一个值，不能是条件或列表",
            "here stands a property or a value, not a condition or a list"
        ),
    )
}

pub(super) fn null(at: usize) -> Fault {
    placed(
        at,
        text!(
            "NULL 不等于任何值；请写 IS NULL 或 IS NOT NULL",
            "nothing compares with NULL; write IS NULL or IS NOT NULL"
        ),
    )
}

pub(super) fn truth(at: usize) -> Fault {
    placed(
        at,
        text!(
            "没有取值为 TRUE 或 FALSE 的属性",
            "no property has the value TRUE or FALSE"
        ),
    )
}

pub(super) fn too_large(at: usize) -> Fault {
    placed(at, text!("这个数太大", "this number is too large"))
}

pub(super) fn wrong_kind(at: usize, wanted: Kind, found: &Literal) -> Fault {
    let found = excerpt(&found.to_string());
    placed(
        at,
        match wanted {
            Kind::Text => text!(
                "这里应为文字，{found} 是数；文字须加单引号",
                "here stands text, {found} is a number; text is written in single quotes"
            ),
            Kind::Number => text!(
                "这里应为数，{found} 是文字；数不加引号",
                "here stands a number, {found} is text; a number is written without quotes"
            ),
        },
    )
}

pub(super) fn no_pattern(at: usize) -> Fault {
    placed(
        at,
        text!(
            "LIKE 只用于文字：左为文字属性，右为单引号中的样式，如 name LIKE '路灯%'",
            "LIKE is about text: a text property, then a pattern in single quotes, such as name LIKE 'lamp%'"
        ),
    )
}

pub(super) fn open_escape(at: usize) -> Fault {
    placed(
        at,
        text!(
            "样式不能以一个反斜杠结尾；反斜杠本身写作两个",
            "a pattern cannot end with one backslash; a backslash itself is written twice"
        ),
    )
}

pub(super) fn unknown_word(at: usize, field: Field, word: &str, known: &[&str]) -> Fault {
    let (key, word, known) = (field.key(), excerpt(word), known.join(", "));
    placed(
        at,
        text!(
            "{key} 不可为“{word}”，应为其中之一：{known}",
            "{key} cannot be \"{word}\"; known are {known}"
        ),
    )
}
