//! Topic Names and Topic Filters (section 4.7 of both versions; shared subscriptions: 5.0, section 4.8.2).

/// Whether a filter matches a topic. The filter of a shared subscription matches as the filter that it contains.
pub fn matches(filter: &str, topic: &str) -> bool {
    let filter = unshared(filter);
    // MQTT-4.7.2-1: a wildcard at the head does not match what belongs to the broker.
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    // "t/#" matches "t" too: then the last wanted level was the wildcard, and the loop has returned.
    levels.next().is_none()
}

/// The Share Name of a shared subscription's filter.
pub fn share_name(filter: &str) -> Option<&str> {
    filter.strip_prefix("$share/")?.split_once('/').map(|(name, _)| name)
}

/// The filter without its Share Name.
pub fn unshared(filter: &str) -> &str {
    filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/')).map_or(filter, |(_, filter)| filter)
}

/// True if a filter has its wildcards where they may stand (section 4.7.1).
pub fn is_filter(filter: &str) -> bool {
    let levels: Vec<&str> = filter.split('/').collect();
    let is_right = |(place, level): (usize, &&str)| match *level {
        "+" => true,
        "#" => place + 1 == levels.len(),
        level => !level.contains(['+', '#']),
    };
    !filter.is_empty() && levels.iter().enumerate().all(is_right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic) in
            [("t", "t"), ("+", "t"), ("#", "t"), ("#", "a/b"), ("a/+", "a/b"), ("a/#", "a"), ("a/#", "a/b/c")]
        {
            assert!(matches(filter, topic), "{filter} {topic}");
            assert!(matches(&format!("$share/g/{filter}"), topic), "shared {filter} {topic}");
        }
        for (filter, topic) in
            [("t", "u"), ("t", "t/u"), ("t/u", "t"), ("+", "a/b"), ("a/+", "a"), ("#", "$SYS/x"), ("+/x", "$SYS/x")]
        {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
        assert!(matches("$SYS/#", "$SYS/x"));
        assert!(["t", "+", "#", "a/+/b", "a/#"].into_iter().all(is_filter));
        assert!(!["", "a#", "a/#/b", "a+", "a/b+/c"].into_iter().any(is_filter));
        assert_eq!((share_name("$share/g/t"), share_name("t")), (Some("g"), None));
    }
}
