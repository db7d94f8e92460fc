//! What somebody probably meant who typed a name that does not exist. A guess is sensible or is not made.

/// How many letters of a name may be wrong in a slip.
const WRONG_LETTERS_MAX: usize = 2;
/// A shorter name resembles too many.
const LETTERS_MIN: usize = 3;
/// Guesses that are equally good; with more of them none is good.
const GUESSES_MAX: usize = 3;

/// ` (did you mean "matrix"?)`, or nothing.
pub fn did_you_mean<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let nearest: Vec<String> = nearest(typed, names).iter().map(|name| format!("\"{name}\"")).collect();
    match nearest.split_last() {
        None => String::new(),
        Some((last, [])) => format!(" (did you mean {last}?)"),
        Some((last, others)) => format!(" (did you mean {} or {last}?)", others.join(", ")),
    }
}

/// The names that differ least from what was typed, if they differ by a slip and are few.
fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let letters = typed.chars().count();
    if letters < LETTERS_MIN {
        return Vec::new();
    }
    let near = |name: &'a str| {
        // Who typed only the beginning is as near as who typed one letter wrong.
        let wrong = if name.starts_with(typed) { 1 } else { strsim::osa_distance(typed, name) };
        (wrong <= WRONG_LETTERS_MAX.min(letters / LETTERS_MIN)).then_some((wrong, name))
    };
    let near: Vec<(usize, &str)> = names.into_iter().filter_map(near).collect();
    let least = near.iter().map(|(wrong, _)| *wrong).min();
    let nearest: Vec<&str> = near.iter().filter(|(wrong, _)| Some(*wrong) == least).map(|(_, name)| *name).collect();
    if nearest.len() > GUESSES_MAX { Vec::new() } else { nearest }
}

/// The cell's id that has most in common with what was typed, if no other has as much and more than half of it is there.
pub fn nearest_id<'a>(typed: &str, ids: &[&'a str]) -> Option<&'a str> {
    let parts = |id: &str| -> Vec<String> { id.split(['[', ']', ',', ' ']).map(String::from).collect() };
    let value = |part: &String| part.split_once('=').map(|(_, value)| value.to_owned());
    let typed_parts = parts(typed);
    let score = |id: &str| -> usize {
        let own = parts(id);
        let exact = own.iter().filter(|part| part.contains('=') && typed_parts.contains(part)).count();
        // A slip in the name of an axis leaves its value.
        let in_place =
            own.iter().zip(&typed_parts).filter(|(one, other)| value(one).is_some() && value(one) == value(other));
        2 * exact + in_place.count()
    };
    let scores: Vec<usize> = ids.iter().map(|id| score(id)).collect();
    let best = *scores.iter().max()?;
    let of_best = || ids.iter().zip(&scores).filter(|(_, score)| **score == best).map(|(id, _)| *id);
    // A slip in a value leaves several ids, of which one is spelled most like what was typed.
    let wrong = |id: &&str| strsim::osa_distance(typed, id);
    let least = of_best().map(|id| wrong(&id)).min()?;
    let mut nearest = of_best().filter(|id| wrong(id) == least);
    let first = nearest.next().filter(|_| nearest.next().is_none())?;
    let axes = parts(first).iter().filter(|part| part.contains('=')).count();
    (best > axes).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_guessed_and_nothing_far_fetched() {
        let names = ["matrix", "retained", "retained_cuts", "retained_wills", "wills", "shared", "shared_away"];
        for (typed, meant) in [
            ("matirx", " (did you mean \"matrix\"?)"),
            ("retaind", " (did you mean \"retained\"?)"),
            ("retained_", " (did you mean \"retained\", \"retained_cuts\" or \"retained_wills\"?)"),
            ("will", " (did you mean \"wills\"?)"),
            ("mqtt", ""),
            ("x", ""),
            ("", ""),
        ] {
            assert_eq!(did_you_mean(typed, names), meant, "{typed}");
        }
        assert_eq!(did_you_mean("3", ["0", "1", "2"]), "");
    }

    #[test]
    fn the_nearest_id_is_the_only_one_that_is_near() {
        let ids = [
            "a[protocol=5.0,clean=true,qos=1]",
            "a[protocol=5.0,clean=false,qos=1]",
            "a[protocol=5.0,clean=true,qos=2]",
        ];
        assert_eq!(nearest_id("a[protcol=5.0,clean=true,qos=1]", &ids), Some(ids[0]));
        assert_eq!(nearest_id("a[protocol=5.0,clean=flase,qos=1]", &ids), Some(ids[1]));
        assert_eq!(nearest_id("a[protocol=5.0,clean=true,qos=3]", &ids), None);
        assert_eq!(nearest_id("b", &ids), None);
    }
}
