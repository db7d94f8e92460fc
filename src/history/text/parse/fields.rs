//! The fields of a packet in a history, each `key=value`.

use std::cell::RefCell;

use super::string;

/// The `key=value` pairs of a line.
pub struct Fields<'a> {
    pairs: Vec<(&'a str, &'a str)>,
    /// The keys that the type of the packet has.
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    pub fn parse(text: &'a str) -> Result<Fields<'a>, String> {
        let pair = |pair: &'a str| pair.split_once('=').ok_or_else(|| format!("\"{pair}\" is no key=value"));
        let pairs = text.split(' ').filter(|pair| !pair.is_empty()).map(pair).collect::<Result<_, _>>()?;
        Ok(Fields { pairs, known: RefCell::default() })
    }

    /// Refuses a key that nobody has asked for, once everything was read that a packet of this type has.
    ///
    /// # Errors
    /// The first such key, in words.
    pub fn are_all_known(&self, name: &str) -> Result<(), String> {
        let known = self.known.borrow();
        match self.pairs.iter().find(|(key, _)| !known.contains(key)) {
            Some((key, _)) => Err(format!("a {name} has no {key}; write one of the keys that it has")),
            None => Ok(()),
        }
    }

    pub fn all(&self, key: &'static str) -> impl Iterator<Item = &'a str> {
        self.known.borrow_mut().push(key);
        self.pairs.iter().filter(move |(name, _)| *name == key).map(|(_, value)| *value)
    }

    /// The values of two keys that stand in pairs.
    pub fn pairs(
        &self,
        key: &'static str,
        other: &'static str,
    ) -> Result<impl Iterator<Item = (&'a str, &'a str)>, String> {
        match self.all(key).count() == self.all(other).count() {
            true => Ok(self.all(key).zip(self.all(other))),
            false => Err(format!("it needs one {other} for each {key}; write as many")),
        }
    }

    /// The value of a key that stands once at most.
    pub fn one(&self, key: &'static str) -> Result<Option<&'a str>, String> {
        let mut all = self.all(key);
        let first = all.next();
        match all.next() {
            Some(_) => Err(format!("it has {key} twice; write it once")),
            None => Ok(first),
        }
    }

    pub fn text(&self, key: &'static str) -> Result<&'a str, String> {
        self.one(key)?.ok_or_else(|| format!("it has no {key}"))
    }

    pub fn string(&self, key: &'static str) -> Result<String, String> {
        string(self.text(key)?)
    }

    pub fn number<N: std::str::FromStr>(&self, key: &'static str) -> Result<N, String> {
        let text = self.text(key)?;
        text.parse().map_err(|_| format!("{key}={text} is out of range"))
    }

    pub fn optional<N: std::str::FromStr>(&self, key: &'static str) -> Result<Option<N>, String> {
        self.one(key)?.map(|_| self.number(key)).transpose()
    }

    pub fn optional_string(&self, key: &'static str) -> Result<Option<String>, String> {
        self.one(key)?.map(string).transpose()
    }

    pub fn optional_flag(&self, key: &'static str) -> Result<Option<bool>, String> {
        self.one(key)?.map(|_| self.flag(key)).transpose()
    }

    pub fn flag(&self, key: &'static str) -> Result<bool, String> {
        match self.text(key)? {
            "0" => Ok(false),
            "1" => Ok(true),
            other => Err(format!("{key}={other} is neither 0 nor 1")),
        }
    }

    pub fn code(&self, key: &'static str) -> Result<Option<u8>, String> {
        self.one(key)?.map(parse_code).transpose()
    }

    pub fn codes(&self) -> Result<Vec<u8>, String> {
        self.all("code").map(parse_code).collect()
    }
}

fn parse_code(text: &str) -> Result<u8, String> {
    text.strip_prefix("0x")
        .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        .ok_or_else(|| format!("\"{text}\" is no reason code like 0x00"))
}
