//! Files that are read: scenarios, histories and results. None is read beyond a bound, since a device or a pipe need not end.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The longest file that is read, in bytes. A run of all scenarios with all histories is a tenth of it.
pub const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The text of a file.
///
/// # Errors
/// The operating system's, and a sentence for a file that is too long to be one of the tool's, or is no UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    read(File::open(path)?, BYTES_MAX)
}

fn read(file: impl Read, bytes_max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    // The byte beyond tells a file of just this length from a longer one.
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        let bound = bytes_max / (1024 * 1024);
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it does not end within {bound} MiB")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_bound_and_not_beyond() {
        let mebibyte = 1024 * 1024;
        let text = "x".repeat(mebibyte);
        assert_eq!(read(text.as_bytes(), mebibyte as u64).unwrap(), text);
        assert_eq!(read(&b""[..], 0).unwrap(), "");
        let too_long = read(io::repeat(0xff), mebibyte as u64).unwrap_err();
        assert_eq!(too_long.to_string(), "it does not end within 1 MiB");
        assert_eq!(read(&b"\xff"[..], 1).unwrap_err().to_string(), "it is not UTF-8");
    }
}
