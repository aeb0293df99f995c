//! Text for people, in the two languages of the register.

/// A language that answers are given in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lang {
    /// 中文, the register's own language and the default.
    #[default]
    Zh,
    /// English.
    En,
}

impl Lang {
    /// The language that an `Accept-Language` header prefers among the two; Chinese when it names neither.
    ///
    /// ```
    /// use lamppost::domain::text::Lang;
    /// assert_eq!(Lang::accepted("en-GB,en;q=0.9,zh;q=0.5"), Lang::En);
    /// assert_eq!(Lang::accepted("fr, zh-CN;q=0.3, en;q=0.2"), Lang::Zh);
    /// assert_eq!(Lang::accepted("*"), Lang::Zh);
    /// ```
    pub fn accepted(header: &str) -> Lang {
        let mut best = (0.0, Lang::default());
        for part in header.split(',') {
            let mut fields = part.split(';');
            let tag = fields.next().unwrap_or("").trim().to_ascii_lowercase();
            let quality = fields
                .find_map(|f| f.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()))
                .unwrap_or(1.0);
            let lang = match tag.split('-').next() {
                Some("zh") => Lang::Zh,
                Some("en") => Lang::En,
                _ => continue,
            };
            if quality > best.0 {
                best = (quality, lang);
            }
        }
        best.1
    }

    /// The BCP 47 tag.
    pub fn tag(self) -> &'static str {
        match self {
            Lang::Zh => "zh",
            Lang::En => "en",
        }
    }

    /// The one of two texts that is in this language.
    pub fn pick<T>(self, zh: T, en: T) -> T {
        match self {
            Lang::Zh => zh,
            Lang::En => en,
        }
    }
}

/// One sentence in both languages: lower case start and no full stop in English.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Text {
    /// 中文.
    pub zh: String,
    /// English.
    pub en: String,
}

impl Text {
    /// Both languages at once.
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Text {
        Text {
            zh: zh.into(),
            en: en.into(),
        }
    }

    /// The text in one language.
    pub fn get(&self, lang: Lang) -> &str {
        lang.pick(&self.zh, &self.en)
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.en)
    }
}

/// Builds a [`Text`] from two format strings over the same captured variables: `text!("第{row}行", "row {row}")`.
#[macro_export]
macro_rules! text {
    ($zh:literal, $en:literal) => {
        $crate::domain::text::Text {
            zh: format!($zh),
            en: format!($en),
        }
    };
}

/// One thing that is wrong with what was sent: where, what, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer (`/properties/state`) for a body, parameter name (`bbox`) for a query, column name for a file.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub detail: Text,
}

impl Fault {
    /// A fault at a place.
    pub fn new(pointer: impl Into<String>, detail: Text) -> Fault {
        Fault {
            pointer: pointer.into(),
            detail,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.pointer, self.detail)
    }
}
