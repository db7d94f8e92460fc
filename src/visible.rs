//! Text from outside, made harmless before people read it: what a broker or a file says must not move the cursor, change
//! colours or turn the direction of the text around.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a terminal acts on this character instead of showing it: the control characters C0, DEL and C1, line
/// separators, and those that turn the direction of the text.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with each such character spelled out: `\n`, `\x1b`, `\u{202e}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 8);
    text.chars().for_each(|character| show(&mut shown, character));
    shown.into()
}

/// As [`visible`], for a text of several lines, which stay.
pub fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// A JSON text in whose strings everything is visible. The text is what is changed, and not the value, since the keys of an
/// object keep their order only there.
pub fn visible_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    let mut rest = json.chars();
    while let Some(character) = rest.next() {
        let hidden = match character {
            '\\' => match escaped(rest.as_str()) {
                Some((hidden, length)) => {
                    rest = rest.as_str()[length..].chars();
                    Some(hidden)
                }
                None => {
                    // The two of an escape belong together, so that the second one opens none.
                    shown.push('\\');
                    shown.extend(rest.next());
                    continue;
                }
            },
            // In a string JSON refuses them by itself, and outside they separate lines.
            character => Some(character).filter(|character| is_hidden(*character) && *character >= ' '),
        };
        match hidden {
            Some(hidden) => {
                shown.push('\\');
                show(&mut shown, hidden);
            }
            None => shown.push(character),
        }
    }
    shown
}

/// The hidden character that a JSON escape stands for, and how long it is behind its backslash.
fn escaped(behind: &str) -> Option<(char, usize)> {
    let (character, length) = match behind.chars().next()? {
        'n' => ('\n', 1),
        'r' => ('\r', 1),
        't' => ('\t', 1),
        'b' => ('\u{8}', 1),
        'f' => ('\u{c}', 1),
        'u' => (char::from_u32(u32::from_str_radix(behind.get(1..5)?, 16).ok()?)?, 5),
        _ => return None,
    };
    is_hidden(character).then_some((character, length))
}

fn show(shown: &mut String, character: char) {
    // Writing to a string cannot fail.
    let _ = match character {
        '\n' | '\r' | '\t' => write!(shown, "{}", character.escape_default()),
        character if character.is_ascii() && is_hidden(character) => write!(shown, "\\x{:02x}", u32::from(character)),
        character if is_hidden(character) => write!(shown, "{}", character.escape_unicode()),
        character => write!(shown, "{character}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "\u{1b}[31m\n\r\t\0\u{7f}\u{9b}2J\u{85}\u{202e}\u{2066}\u{2028}\u{61c}";

    #[test]
    fn what_a_terminal_would_act_on_is_spelled_out() {
        assert_eq!(visible(HOSTILE), r"\x1b[31m\n\r\t\x00\x7f\u{9b}2J\u{85}\u{202e}\u{2066}\u{2028}\u{61c}");
        assert!(matches!(visible("mosquitto 2.0.11 é → 日本 \\n"), Cow::Borrowed(_)));
        assert_eq!(visible_lines("a\u{7}\nb\r\n"), "a\\x07\nb\\r\n");
    }

    #[test]
    fn the_strings_of_a_json_text_are_spelled_out_and_nothing_else_changes() {
        let hostile = serde_json::to_string(&[HOSTILE, "\\n", "\\\\", "\"", "é😀"]).unwrap();
        let read: Vec<String> = serde_json::from_str(&visible_json(&hostile)).unwrap();
        assert_eq!(read, [&visible(HOSTILE), "\\n", "\\\\", "\"", "é😀"]);
        let everything: String = (0..=0xffff_u16).filter_map(|code| char::from_u32(code.into())).collect();
        let spelled: String = everything.chars().map(|character| format!("\\u{:04x}", u32::from(character))).collect();
        for json in [serde_json::to_string(&everything).unwrap(), format!("\"{spelled}\"")] {
            assert_eq!(serde_json::from_str::<String>(&visible_json(&json)).unwrap(), visible(&everything));
        }
        let innocent = "{\r\n\t\"b\": [1.5, null, \"\\u0041\\\"\\/\\ud83d\\ude00\"],\n \"a\": {}}";
        assert_eq!(visible_json(innocent), innocent);
        // Cut off in an escape: for the reader of JSON to refuse.
        for cut in ["\"\\", "\"\\u12", "\"\\u00"] {
            assert_eq!(visible_json(cut), cut);
        }
    }
}
