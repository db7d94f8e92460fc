//! The text form of a history.

use mqtt_sessions::history::History;
use mqtt_sessions::visible::is_hidden;
use proptest::prelude::*;

use super::{any_event, config};

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn an_entry_is_read_as_it_was_written(entry in any_event::entry()) {
        let line = entry.to_string();
        prop_assert!(!line.contains(is_hidden), "{line:?} is more than a line of text");
        let read = History::parse([line.as_str()]);
        prop_assert_eq!(read.map(|history| history.entries), Ok(vec![entry]), "{}", line);
    }

    #[test]
    fn any_text_is_read_or_refused_in_words(line in "(subscriber (->|<-|--) )?(PUBLISH|SUBACK|no|attempt|step)?[ -~]{0,40}") {
        match History::parse([line.as_str()]) {
            // What was read is written in one way only, and that way is read again as the same.
            Ok(history) => {
                let lines = history.lines();
                prop_assert_eq!(History::parse(lines.iter().map(String::as_str)), Ok(history));
            }
            Err(error) => prop_assert!(error.line == 1 && !error.why.is_empty()),
        }
    }
}
