//! A password that a peer sends back: bytes that are no packet are shown in hexadecimal, and must not show it.

/// A shorter beginning of the secret at the end of the bytes tells nothing.
const PART_MIN: usize = 3;

/// Puts asterisks in the place of the secret, and of a part of it with which the bytes end.
pub fn hide(secret: &[u8], bytes: &mut [u8]) {
    let mut at = 0;
    while at < bytes.len() && !secret.is_empty() {
        let length = secret.len().min(bytes.len() - at);
        let is_told = length == secret.len() || length >= PART_MIN;
        let hidden = if is_told && bytes[at..].starts_with(&secret[..length]) { length } else { 0 };
        bytes[at..at + hidden].fill(b'*');
        at += hidden.max(1);
    }
}

/// As [`hide`], for several secrets.
pub fn hide_all<'s>(secrets: impl IntoIterator<Item = &'s Vec<u8>>, bytes: &mut [u8]) {
    secrets.into_iter().for_each(|secret| hide(secret, bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_wherever_it_stands() {
        let hidden = |secret: &str, text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            hide(secret.as_bytes(), &mut bytes);
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(hidden("pass", "a passpass pas"), "a ******** ***");
        assert_eq!(hidden("pass", "pas pa"), "pas pa");
        assert_eq!(hidden("pass", "papas pappass"), "papas pap****");
        assert_eq!(hidden("p", "pap"), "*a*");
        assert_eq!(hidden("", "pap"), "pap");
    }
}
