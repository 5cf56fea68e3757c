//! Small files: line by line in a buffer of fixed size, or as a whole.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::open::read_some;

/// Longest line that is read, in bytes; longer ones are ignored. iproute2's limit is the same.
const LINE_MAX: usize = 512;

/// Opens a file for reading. Never blocks, as opening a pipe or a device may: only regular files are opened.
pub fn open(path: impl AsRef<Path>, flags: OFlag) -> io::Result<File> {
    regular(super::open::open(path, OFlag::O_NONBLOCK | flags, 0)?)
}

/// Refuses a file that is not a regular one.
pub fn regular(file: File) -> io::Result<File> {
    match file.metadata()?.file_type() {
        kind if kind.is_file() => Ok(file),
        kind if kind.is_dir() => Err(Errno::EISDIR.into()),
        _ => Err(not_regular()),
    }
}

/// The error of what is a device, a pipe or a socket.
pub(super) fn not_regular() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, NotRegular)
}

/// std's error of a text would bring along how texts are shown with their characters escaped: four kilobytes.
#[derive(Debug)]
struct NotRegular;

impl Display for NotRegular {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a regular file")
    }
}

impl std::error::Error for NotRegular {}

/// Reads from a file until there are `most` bytes in all. std's `read_to_end` is a kilobyte of the program.
pub fn read(file: &File, most: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; LINE_MAX];
    while bytes.len() < most {
        let room = piece.len().min(most - bytes.len());
        match read_some(file, &mut piece[..room])? {
            0 => break,
            got => bytes.extend_from_slice(&piece[..got]),
        }
    }
    Ok(())
}

/// The value of the first line that has one; lines are without their line feeds. None, too, if the file cannot be read.
pub fn find(path: &Path, value: &dyn Fn(&str) -> Option<u32>) -> Option<u32> {
    let mut found = None;
    let _ = show_lines(path, &mut |line| {
        found = value(line);
        found.is_some()
    });
    found
}

/// Shows every line that is a text, until one was the last to be seen.
fn show_lines(path: &Path, is_last: &mut dyn FnMut(&str) -> bool) -> io::Result<()> {
    let file = open(path, OFlag::empty())?;
    let mut buffer = [0; LINE_MAX + 1];
    let mut filled = 0;
    let mut passing_over = false;
    let mut ends = |line: &[u8]| std::str::from_utf8(line).is_ok_and(&mut *is_last);
    loop {
        let got = read_some(&file, &mut buffer[filled..])?;
        filled += got;
        let mut start = 0;
        while let Some(length) = buffer[start..filled].iter().position(|b| *b == b'\n') {
            let line = &buffer[start..start + length];
            start += length + 1;
            if !std::mem::take(&mut passing_over) && ends(line) {
                return Ok(());
            }
        }
        let rest = &buffer[start..filled];
        if got == 0 {
            let _ = !passing_over && !rest.is_empty() && ends(rest);
            return Ok(());
        }
        if start == 0 && filled == buffer.len() {
            passing_over = true;
            start = filled;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(text: &[u8]) -> Vec<String> {
        let file = std::env::temp_dir().join(format!(
            "failover-lines-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&file, text).unwrap();
        let mut lines = Vec::new();
        show_lines(&file, &mut |line| {
            lines.push(line.to_string());
            false
        })
        .unwrap();
        std::fs::remove_file(&file).unwrap();
        lines
    }

    #[test]
    fn lines_are_whole_wherever_the_buffer_ends() {
        let text: String = (0..1000).map(|n| format!("{n} line\n")).collect();
        assert_eq!(lines_of(text.as_bytes()), text.lines().collect::<Vec<_>>(),);
        assert_eq!(lines_of(b"a\n\nb"), ["a", "", "b"]);
    }

    #[test]
    fn a_line_that_is_too_long_or_no_text_is_ignored() {
        for length in [511, 512, 513, 1024, 1025, 5000] {
            let long = "x".repeat(length);
            let seen = lines_of(format!("a\n{long}\nb\n").as_bytes());
            let fits = length <= LINE_MAX;
            assert_eq!(seen.len(), if fits { 3 } else { 2 }, "{length}");
            assert_eq!(
                lines_of(long.as_bytes()).len(),
                usize::from(fits),
                "{length}"
            );
        }
        assert_eq!(lines_of(b"a\n\xff\xfe\nb\n"), ["a", "b"]);
    }
}
