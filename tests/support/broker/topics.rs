//! Topic Names and Topic Filters (section 4.7 of both versions).

/// Whether a Topic Name matches a Topic Filter.
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

/// Whether a Topic Filter is well formed: each wildcard fills its level, and `#` is the last (4.7.1-2 and 4.7.1-3 of
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

/// Whether a Topic Name is well formed: not empty, no wildcard (4.7.3-1, 3.3.2-2).
pub fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#'])
}

/// Whether a shared subscription is well formed: it has a name without wildcards, and a Topic Filter (5.0 4.8.2-1 and
/// 4.8.2-2).
pub fn is_shared_filter(filter: &str) -> bool {
    let parts = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    parts.is_some_and(|(name, filter)| is_topic(name) && is_filter(filter))
}
