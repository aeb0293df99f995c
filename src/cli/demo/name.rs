//! Invented names. None is meant to be a real place's or firm's.

use hashbrown::HashSet;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::domain::word::RoadClass;

const FIRST: &str = "明景云柳枫槐松竹兰桂荷雁鹤鹿星月霞晴镜紫翠金银玉青丹碧凤龙麒锦绣芳华春秋雅静怡庆";
const SECOND: &str = "山川江光华安宁和兴昌泰康湖泉溪桥园林岭波涛岸舟帆港湾台阁亭苑坊城门庄原野塘池汀";
const SHOP: &str = "老陈阿福小川大海津味聚鑫同德宏运百顺家和万利悦来四季佳美金穗好邻嘉禾便民振华";
const TRADE: &[&str] = &[
    "面馆",
    "包子铺",
    "药房",
    "便利店",
    "理发店",
    "水果店",
    "烟酒店",
    "五金店",
    "文具店",
    "眼镜店",
    "咖啡馆",
    "书店",
    "洗衣店",
    "手机店",
    "房产中介",
    "诊所",
    "宠物店",
    "火锅店",
    "糕点店",
    "茶庄",
    "服装店",
    "花店",
    "汽修店",
    "健身房",
];

fn pick(rng: &mut ChaCha8Rng, from: &str) -> char {
    let n = from.chars().count();
    from.chars().nth(rng.random_range(0..n)).unwrap_or('明')
}

/// Hands out names, never the same twice.
pub(super) struct Names {
    rng: ChaCha8Rng,
    used: HashSet<String>,
}

impl Names {
    /// A supply of names.
    pub(super) fn new(rng: ChaCha8Rng) -> Names {
        Names {
            rng,
            used: HashSet::new(),
        }
    }

    /// Two characters with an ending; a third one once the pairs run short.
    pub(super) fn fresh(&mut self, ending: &str) -> String {
        for attempt in 0.. {
            let mut name = String::new();
            name.push(pick(&mut self.rng, FIRST));
            if attempt > 20 {
                name.push(pick(&mut self.rng, FIRST));
            }
            name.push(pick(&mut self.rng, SECOND));
            name.push_str(ending);
            if self.used.insert(name.clone()) {
                return name;
            }
        }
        String::new()
    }

    /// A street's name. As in Tianjin, a 路 runs north and south and a 道 runs east and west.
    pub(super) fn street(&mut self, class: RoadClass, north_south: bool) -> String {
        let ending = match (class, north_south) {
            (RoadClass::Arterial, true) => "大街",
            (RoadClass::Arterial, false) => "大道",
            (RoadClass::Lane, _) => ["里", "巷", "胡同", "东里", "西里"][self.rng.random_range(0..5)],
            (_, true) => "路",
            (_, false) => "道",
        };
        self.fresh(ending)
    }

    /// A shop's name; shops may share one.
    pub(super) fn shop(&mut self) -> String {
        let (a, b) = (pick(&mut self.rng, SHOP), pick(&mut self.rng, SHOP));
        let trade = TRADE[self.rng.random_range(0..TRADE.len())];
        format!("{a}{b}{trade}")
    }
}

/// A small number as it stands in a Chinese name: 二, 十二, 一百零三.
pub(super) fn numeral(n: usize) -> String {
    const DIGITS: [&str; 10] = ["", "一", "二", "三", "四", "五", "六", "七", "八", "九"];
    let (hundreds, tens, ones) = (n / 100 % 10, n / 10 % 10, n % 10);
    let mut out = String::new();
    if hundreds > 0 {
        out.push_str(DIGITS[hundreds]);
        out.push('百');
    }
    match (tens, hundreds > 0) {
        (0, true) if ones > 0 => out.push('零'),
        (0, _) => {}
        (1, false) => out.push('十'),
        _ => {
            out.push_str(DIGITS[tens]);
            out.push('十');
        }
    }
    out.push_str(DIGITS[ones]);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn numerals_read_as_people_write_them() {
        let spoken: Vec<String> = [2, 10, 12, 20, 103, 110].map(super::numeral).into();
        assert_eq!(spoken, ["二", "十", "十二", "二十", "一百零三", "一百一十"]);
    }
}
