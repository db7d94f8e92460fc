//! Files that are read: scenarios, histories and results. None is read beyond a bound, since a device or a pipe need not end.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

/// The longest file that is read, in bytes. A run of all scenarios with all histories is a tenth of it.
pub const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The longest first line that is read, in bytes: MQTT carries no longer password.
const LINE_BYTES_MAX: u64 = 65_535;

/// The text of a file.
///
/// # Errors
/// The operating system's, and a sentence for a file that is too long to be one of the tool's, or is no UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    read(File::open(path)?, BYTES_MAX)
}

/// The first line of a file, without its end, such as a password. What follows is not read.
///
/// # Errors
/// The operating system's, and half a sentence for a line that is empty, too long for a password, or no UTF-8.
pub fn read_first_line(path: &Path) -> io::Result<String> {
    first_line(File::open(path)?)
}

fn first_line(file: impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    BufReader::new(file).take(LINE_BYTES_MAX + 2).read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\n").map_or(&line[..], |line| line.strip_suffix(b"\r").unwrap_or(line));
    if line.len() as u64 > LINE_BYTES_MAX {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "its first line is longer than a password can be"));
    }
    match std::str::from_utf8(line) {
        Ok("") => Err(io::Error::new(ErrorKind::InvalidData, "its first line is empty")),
        Ok(line) => Ok(line.to_owned()),
        Err(_) => Err(io::Error::new(ErrorKind::InvalidData, "its first line is not UTF-8")),
    }
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

    #[test]
    fn the_first_line_is_a_password() {
        let read = |text: &[u8]| first_line(text).map_err(|error| error.to_string());
        for text in [&b"s3cret"[..], b"s3cret\n", b"s3cret\r\n", b"s3cret\n\nmore"] {
            assert_eq!(read(text).as_deref(), Ok("s3cret"));
        }
        assert_eq!(read(b" a b \n").as_deref(), Ok(" a b "));
        assert_eq!(read(b"").unwrap_err(), "its first line is empty");
        assert_eq!(read(b"\xff\n").unwrap_err(), "its first line is not UTF-8");
        let too_long = first_line(io::repeat(b'x')).unwrap_err().to_string();
        assert_eq!(too_long, "its first line is longer than a password can be");
        assert_eq!(read(&[b'x'; 65_535]).unwrap().len(), 65_535);
    }
}
