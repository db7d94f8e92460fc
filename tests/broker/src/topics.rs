//! Topic Names and Topic Filters (section 4.7 of both versions).

/// True if a Topic Name matches a Topic Filter.
pub fn matches(filter: &str, topic: &str) -> bool {
    // 4.7.2-1: a filter that begins with a wildcard does not match a topic that begins with `$`.
    !(topic.starts_with('$') && filter.starts_with(['+', '#'])) && levels_match(filter, topic)
}

/// The same without the rule for `$`.
pub fn levels_match(filter: &str, topic: &str) -> bool {
    let mut filter = filter.split('/');
    let mut topic = topic.split('/');
    loop {
        match (filter.next(), topic.next()) {
            // `a/#` matches `a` as well, since `#` stands for the parent level too (section 4.7.1.2).
            (Some("#"), _) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// True if a Topic Filter is well formed: each wildcard fills its level, and `#` is the last (4.7.1-2 and 4.7.1-3 of
/// 3.1.1, 4.7.1-1 and 4.7.1-2 of 5.0).
pub fn is_filter(filter: &str) -> bool {
    let levels: Vec<&str> = filter.split('/').collect();
    let wild = |level: &str| level.contains(['+', '#']);
    let in_place = |(position, level): (usize, &&str)| match *level {
        "#" => position + 1 == levels.len(),
        "+" => true,
        other => !wild(other),
    };
    !filter.is_empty() && levels.iter().enumerate().all(in_place)
}

/// True if a Topic Name is well formed: not empty, no wildcard (4.7.3-1, 3.3.2-2).
pub fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#'])
}

/// The Share Name and the Topic Filter of a shared subscription (5.0, section 4.8.2). `None` for any other filter.
pub fn shared(filter: &str) -> Option<(&str, &str)> {
    filter.strip_prefix("$share/")?.split_once('/')
}

/// The Topic Filter by which a subscription matches: for a shared subscription the one behind the Share Name.
pub fn unshared(filter: &str) -> &str {
    shared(filter).map_or(filter, |(_, filter)| filter)
}

/// True if a shared subscription is well formed: it has a name without wildcards, and a Topic Filter (5.0 4.8.2-1 and
/// 4.8.2-2).
pub fn is_shared_filter(filter: &str) -> bool {
    shared(filter).is_some_and(|(name, filter)| is_topic(name) && is_filter(filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of section 4.7 of both versions, and some at its edges.
    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, matching, others) in [
            ("sport/tennis/player1/#", &["sport/tennis/player1", "sport/tennis/player1/ranking"][..], &["sport"][..]),
            ("sport/#", &["sport"], &["sports"]),
            ("#", &["a", "/", "a/b"], &["$SYS", "$SYS/a"]),
            ("sport/tennis/+", &["sport/tennis/player1", "sport/tennis/"], &["sport/tennis", "sport/tennis/a/b"]),
            ("sport/+", &["sport/"], &["sport"]),
            ("+/+", &["/finance"], &["finance", "$SYS/a"]),
            ("/+", &["/finance"], &["finance"]),
            ("+", &["finance"], &["/finance", "$SYS"]),
            ("$SYS/#", &["$SYS/a", "$SYS"], &["SYS/a"]),
            ("$SYS/monitor/+", &["$SYS/monitor/Clients"], &["$SYS/monitor"]),
            ("ACCOUNTS", &["ACCOUNTS"], &["Accounts", "ACCOUNTS/"]),
        ] {
            assert!(is_filter(filter));
            matching.iter().for_each(|topic| assert!(matches(filter, topic), "{filter} {topic}"));
            others.iter().for_each(|topic| assert!(!matches(filter, topic), "{filter} {topic}"));
        }
    }

    #[test]
    fn the_shape_of_a_filter_is_checked() {
        for filter in ["sport/tennis#", "sport/tennis/#/ranking", "sport+", "", "a/+b"] {
            assert!(!is_filter(filter), "{filter}");
        }
        assert!(is_shared_filter("$share/g/a/#"));
        for filter in ["$share/g", "$share//a", "$share/g+/a", "$share/g/", "a"] {
            assert!(!is_shared_filter(filter), "{filter}");
        }
        assert_eq!((shared("$share/g/a/b"), unshared("$share/g/a/b"), unshared("a")), (Some(("g", "a/b")), "a/b", "a"));
    }
}
