//! What is said about texts that are no filter, and that none of them takes long.

use std::time::{Duration, Instant};

use crate::domain::filter::{Field, Filter};

/// What is wrong with a text, in English and in Chinese.
fn faults(text: &str) -> Vec<(String, String)> {
    let Err(faults) = Filter::parse(text, Field::OF_COMPONENTS) else {
        panic!("{text} was read");
    };
    assert!(!faults.is_empty() && faults.iter().all(|f| f.pointer == "filter"));
    faults.into_iter().map(|f| (f.detail.en, f.detail.zh)).collect()
}

#[test]
fn each_fault_says_where_and_what() {
    let cases: &[(&str, &[(usize, &str)])] = &[
        ("", &[(1, "the filter is not finished")]),
        ("   ", &[(4, "the filter is not finished")]),
        ("state = 'damaged' AND", &[(22, "the filter is not finished")]),
        (
            "state = 'damaged' AND ownr = 'x'",
            &[(23, "there is no property \"ownr\"; there are id, code,")],
        ),
        (
            "名称='灯' or ownr='x' or 主人 = 1",
            &[
                (1, "there is no property \"名称\""),
                (11, "there is no"),
                (23, "there is no property \"主人\""),
            ],
        ),
        ("State = 'damaged'", &[(1, "there is no property \"State\"")]),
        ("level = 'street'", &[(1, "there is no property \"level\"")]),
        ("between = 1", &[(1, "there is no property \"between\"")]),
        (
            "state = damaged",
            &[(9, "there is no property \"damaged\"; there are id, code, scheme,")],
        ),
        (
            "state = 'broken' or property_kind in ('state', 'x', 'y')",
            &[
                (9, "state cannot be \"broken\"; known are intact,"),
                (48, "property_kind cannot be \"x\""),
                (53, "property_kind cannot be \"y\""),
            ],
        ),
        (
            "'Confirmed' <> ownership_status",
            &[(1, "ownership_status cannot be \"Confirmed\"")],
        ),
        (
            "management_kind = '专业管理'",
            &[(
                19,
                "management_kind cannot be \"专业管理\"; known are professional, social",
            )],
        ),
        (
            "name = 5 and version > '3' and id in (1, 'b', 'c')",
            &[
                (8, "here stands text, 5 is a number"),
                (24, "here stands a number, '3' is text"),
                (42, "here stands a number"),
                (47, "here"),
            ],
        ),
        ("version between 'a' and 3", &[(17, "here stands a number")]),
        ("1 = 'a'", &[(5, "here stands a number")]),
        ("state = name", &[(9, "here stands a value, not another property")]),
        (
            "id in (1, version)",
            &[(11, "here stands a value, not another property")],
        ),
        (
            "id between version and 5",
            &[(12, "here stands a value, not another property")],
        ),
        ("owner = NULL", &[(9, "nothing compares with NULL")]),
        ("owner in ('a', null)", &[(16, "nothing compares with NULL")]),
        ("state = TRUE", &[(9, "no property has the value TRUE")]),
        ("state", &[(1, "here stands a condition")]),
        (
            "not state and 'x'",
            &[(5, "here stands a condition"), (15, "here stands a condition")],
        ),
        ("state = (name = 'x')", &[(10, "here stands a property or a value")]),
        ("(name = 'x') is null", &[(2, "here stands a property or a value")]),
        ("1 < version < 3", &[(5, "here stands a property or a value")]),
        ("('a', 'b') = name", &[(2, "here stands a property or a value")]),
        ("version like '1%'", &[(1, "LIKE is about text")]),
        ("name like 5", &[(11, "LIKE is about text")]),
        ("name like code", &[(11, "LIKE is about text")]),
        ("name like 'a\\'", &[(11, "a pattern cannot end")]),
        ("version < 1e999", &[(11, "this number is too large")]),
        (
            "casei(name) = 'a' and ownr = 'x' and state = 'damaged'",
            &[
                (1, "functions such as \"casei\""),
                (23, "there is no property \"ownr\""),
            ],
        ),
        (
            "S_INTERSECTS(geometry, POINT(1 2)) and T_AFTER(updated, DATE('2020-01-01'))",
            &[
                (1, "functions such as \"S_INTERSECTS\""),
                (40, "functions such as \"T_AFTER\""),
            ],
        ),
        (
            "version + 1 = 2 or -version = 1 or version = 4 div 2",
            &[
                (9, "there is no arithmetic (\"+\")"),
                (20, "there is no arithmetic (\"-\")"),
                (48, "there is no arithmetic (\"div\")"),
            ],
        ),
        ("version = --1", &[(11, "there is no arithmetic (\"-\")")]),
        ("version = 'a", &[(11, "the quote ' is not closed")]),
        ("\"name = 'a'", &[(1, "the quote \" is not closed")]),
        ("name == 'a'", &[(7, "cannot be read from \"= 'a'\" on")]),
        (
            "name = 'a' an code = 'b'",
            &[(12, "cannot be read from \"an code = 'b'\" on")],
        ),
        (
            "name = 'a' ANDcode = 'b'",
            &[(12, "cannot be read from \"ANDcode = 'b'\" on")],
        ),
        (
            "version = 1 orname = 'b'",
            &[(13, "cannot be read from \"orname = 'b'\" on")],
        ),
        ("name = ‘灯’", &[(8, "cannot be read from \"‘灯’\" on")]),
        ("（name = '灯'）", &[(1, "cannot be read from \"（name")]),
        ("name in ()", &[(10, "cannot be read from \")\" on")]),
        ("(name = 'a'", &[(12, "the filter is not finished")]),
        ("name = 'a')", &[(11, "cannot be read from \")\" on")]),
        (
            "((((((((((((((((name = 'a' code))))))))))))))))",
            &[(28, "cannot be read from \"code)")],
        ),
        (
            "name = 'a'; drop table component",
            &[(11, "cannot be read from \"; drop table component\" on")],
        ),
        ("name = POINT EMPTY", &[(8, "cannot be read")]),
        ("id isnull", &[(4, "cannot be read from \"isnull\" on")]),
        ("and()", &[(1, "here stands a condition")]),
    ];
    for (text, wanted) in cases {
        let found = faults(text);
        let fits = |((en, zh), (at, what)): (&(String, String), &(usize, &str))| {
            en.starts_with(&format!("at character {at}: {what}")) && zh.starts_with(&format!("第{at}个字符处："))
        };
        let all = found.len() == wanted.len() && found.iter().zip(*wanted).all(fits);
        assert!(all, "{text}\nfound  {found:#?}\nwanted {wanted:#?}");
    }
}

#[test]
fn a_fault_reads_well_in_both_languages() {
    let found = Filter::parse("level = 'x' or owner = 'y'", Field::OF_LAND).unwrap_err();
    assert_eq!(found[0].detail.zh, "第1个字符处：没有属性“level”；可用 id, kind, name");
    assert_eq!(
        found[1].detail.en,
        "at character 16: there is no property \"owner\"; there are id, kind, name"
    );
    let found = Filter::parse("name = 灯", Field::OF_LAND).unwrap_err();
    assert_eq!(
        found[0].detail.zh,
        "第8个字符处：没有属性“灯”；可用 id, kind, name；如果是文字，应写作 '灯'"
    );
    assert_eq!(
        found[0].detail.en,
        "at character 8: there is no property \"灯\"; there are id, kind, name; if it is text, write '灯'"
    );
}

#[test]
fn what_is_beyond_the_limits_is_refused() {
    let list = |n: usize| format!("id IN ({})", vec!["1"; n].join(","));
    let nested = |n: usize| format!("{}id=1{}", "(".repeat(n), ")".repeat(n));
    for fine in [
        list(200),
        nested(20),
        "NOT ".repeat(20) + "id=1",
        format!("name = '{}'", "灯".repeat(3_991)),
    ] {
        assert!(Filter::parse(&fine, Field::OF_COMPONENTS).is_ok(), "{fine}");
    }
    for (text, wanted) in [
        (
            format!("name = '{}'", "灯".repeat(3_992)),
            "the filter has 4001 characters; 4000 are the most",
        ),
        (list(201), "at character 408: more than 200 properties or values"),
        (
            nested(21),
            "at character 21: brackets and NOT are nested more than 20 deep",
        ),
        ("NOT ".repeat(21) + "id=1", "at character 81: brackets and NOT"),
        ("(NOT ".repeat(20) + "id=1", "at character 97: brackets and NOT"),
        (vec!["id"; 201].join("="), "at character 601: more than 200 properties"),
        (vec!["id=1"; 201].join(" OR "), "at character 1601: more than 200"),
    ] {
        let found = faults(&text);
        assert!(found.len() == 1 && found[0].0.starts_with(wanted), "{text}: {found:?}");
    }
}

/// On the stack of a test thread, which is as large as that of a server's.
#[test]
fn nothing_overflows_the_stack_or_takes_long() {
    let deep = |inside: &str, n: usize| format!("{}{inside}{}", "(".repeat(n), ")".repeat(n));
    let mut texts = vec![
        deep("id 1", 20),
        deep("id=1,2", 20),
        deep("id in (1", 20),
        deep("1, 2), (3", 19),
        deep("", 20),
    ];
    for piece in [
        "(",
        ")",
        "NOT ",
        "not(",
        "-",
        "- ",
        "+",
        "'",
        "\"",
        "''",
        "a",
        "1",
        "id=",
        "=",
        ",",
        "()",
        "(1,",
        "f(",
        "NOT f(",
        "in(",
        "id in(",
        "id BETWEEN ",
        "id BETWEEN (",
        "BETWEEN 1 AND ",
        "is ",
        "id IS NULL ",
        "POINT(",
        "GEOMETRYCOLLECTION(",
        "1 1,",
        "AND ",
        "id=1 AND ",
        "id=1 OR (",
        "(id=1) AND NOT (",
        "id=id+",
        "id^",
        "id^-",
        "id<",
        "\u{3000}",
        "灯",
        "%",
        "\\",
        "1e",
        "1.",
        "id like ",
        "x div ",
    ] {
        texts.push(piece.repeat(4_000 / piece.chars().count()));
        for n in [10, 15, 19, 20] {
            texts.push(piece.repeat(n));
            texts.push(piece.repeat(n) + "id=1");
            texts.push(piece.repeat(n) + "id=1" + &")".repeat(n));
            texts.push(piece.repeat(n) + "id=1" + &",1)".repeat(n));
        }
    }
    for chain in [
        "=",
        "<",
        " like ",
        " in ",
        " AND ",
        " OR ",
        "^",
        "*",
        "-",
        " is null and not ",
    ] {
        texts.push(vec!["id"; 200].join(chain));
        texts.push(vec!["'a'"; 200].join(chain));
        texts.push(vec!["id=1"; 200].join(chain));
        texts.push(vec!["-id"; 200].join(chain));
    }
    for text in texts {
        let start = Instant::now();
        let _ = Filter::parse(&text, Field::OF_COMPONENTS);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}: {text}");
    }
}
