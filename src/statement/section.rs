//! In which section of the standard a statement stands, and where that is to be read.

use super::Statement;
use crate::packet::Protocol;

const PAGE_V3: &str = "https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html";
const PAGE_V5: &str = "https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html";

/// Sections with the numbers of their anchors on the page.
type Anchors = [(&'static str, u32)];

#[rustfmt::skip]
const ANCHORS_V3: &Anchors = &[
    ("1.5.3", 398718016), ("2.1", 398718019), ("2.2.2", 398718022), ("2.3.1", 398718025), ("3.1.2", 398718030),
    ("3.1.3", 398718031), ("3.1.4", 398718032), ("3.2", 398718033), ("3.2.2", 398718035), ("3.3.1", 398718038),
    ("3.3.2", 398718039), ("3.3.4", 398718041), ("3.3.5", 398718042), ("3.8.4", 398718067), ("3.9.3", 398718071),
    ("3.10.4", 398718076), ("3.12.4", 398718085), ("3.14", 398718090), ("3.14.4", 398718094), ("4.1", 398718096),
    ("4.3.1", 398718100), ("4.3.2", 398718101), ("4.3.3", 398718102), ("4.4", 398718103), ("4.5", 398718104),
    ("4.6", 398718105), ("4.7.2", 398718108), ("4.7.3", 398718109), ("4.8", 398718110),
];

#[rustfmt::skip]
const ANCHORS_V5: &Anchors = &[
    ("1.5.4", 3901010), ("2.1", 3901020), ("2.1.3", 3901023), ("2.2.1", 3901026), ("2.2.2.2", 3901029),
    ("3.1.2", 3901035), ("3.1.3", 3901058), ("3.1.4", 3901073), ("3.2", 3901074), ("3.2.2", 3901076),
    ("3.2.2.3.2", 3901082), ("3.2.2.3.3", 3901083), ("3.2.2.3.4", 3901084), ("3.2.2.3.5", 3901085),
    ("3.2.2.3.6", 3901086), ("3.2.2.3.7", 3901087), ("3.2.2.3.8", 3901088), ("3.2.2.3.9", 3901089),
    ("3.2.2.3.11", 3901091), ("3.2.2.3.12", 3901092), ("3.2.2.3.13", 3901093), ("3.2.2.3.14", 3901094),
    ("3.2.2.3.15", 3901095), ("3.2.2.3.16", 3901096), ("3.2.2.3.17", 3901097), ("3.2.2.3.18", 3901098),
    ("3.3.1", 3901101), ("3.3.1.3", 3901104), ("3.3.2", 3901106), ("3.3.2.3.4", 3901113), ("3.3.4", 3901120),
    ("3.4.2", 3901123), ("3.5.2", 3901133), ("3.6.2", 3901143), ("3.7.2", 3901153), ("3.8.3", 3901168),
    ("3.8.3.1", 3901169), ("3.8.4", 3901170), ("3.9.3", 3901178), ("3.10.4", 3901186), ("3.11.3", 3901194), ("3.12.4", 3901199),
    ("3.14.2", 3901207), ("3.14.2.2.2", 3901211), ("3.14.4", 3901216), ("4.1", 3901230), ("4.3.1", 3901235),
    ("4.3.2", 3901236), ("4.3.3", 3901237), ("4.4", 3901238), ("4.5", 3901239), ("4.6", 3901240), ("4.7.2", 3901246), ("4.7.3", 3901247),
    ("4.8.2", 3901250), ("4.9", 3901251), ("4.12", 3901256), ("4.13", 3901258),
];

impl Statement {
    /// `3.1.2`: the section that the number begins with.
    pub fn section(&self) -> &'static str {
        let number = self.id.strip_prefix("MQTT-").unwrap_or(self.id);
        let section = number.split_once('-').map_or(number, |(section, _)| section);
        // Chapters without subsections are numbered as if they had one.
        section.strip_suffix(".0").unwrap_or(section)
    }

    /// The page of the standard, at this section.
    pub fn link(&self) -> String {
        let (page, anchors) = match self.protocol {
            Protocol::V3 => (PAGE_V3, ANCHORS_V3),
            Protocol::V5 => (PAGE_V5, ANCHORS_V5),
        };
        let anchor = anchors.iter().find(|(section, _)| *section == self.section());
        anchor.map_or_else(|| page.to_owned(), |(_, number)| format!("{page}#_Toc{number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::{find, statements};

    #[test]
    fn each_statement_has_its_place_on_the_page() {
        for statement in Protocol::ALL.into_iter().flat_map(statements) {
            assert!(statement.link().contains("#_Toc"), "{} {}", statement.protocol, statement.id);
        }
        let link = |protocol, id| find(protocol, id).unwrap().link();
        assert!(link(Protocol::V3, "MQTT-4.4.0-1").ends_with("mqtt-v3.1.1-os.html#_Toc398718103"));
        assert!(link(Protocol::V5, "MQTT-4.8.2-3").ends_with("mqtt-v5.0-os.html#_Toc3901250"));
        assert!(link(Protocol::V5, "4.13").ends_with("#_Toc3901258"));
    }

    #[test]
    fn anchors_stand_in_the_order_of_the_sections() {
        for anchors in [ANCHORS_V3, ANCHORS_V5] {
            assert!(anchors.is_sorted_by_key(|(_, number)| *number));
        }
    }
}
