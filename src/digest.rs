//! A digest that is the same in every run and on every machine; nobody is kept from finding two texts with one digest.

/// FNV-1a: the standard library's hashers promise no stability between versions.
pub fn fnv_1a(bytes: &[u8]) -> u64 {
    let next = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, next)
}
