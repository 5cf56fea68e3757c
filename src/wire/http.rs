//! HTTP: one request, and an incremental parser of its response (RFC 9112).
//!
//! The request has version 1.0 and a `Host` field, which all servers want today: its response has no chunks and no interim
//! responses, and ends with the connection. Only the status is kept, and whether a text is in the body. Nothing is read
//! beyond the header, and the body up to the text.

use core::fmt::Write;

use heapless::{Vec, VecView};

use crate::limits::{HOST_MAX, HTTP_BODY_MAX, HTTP_HEADER_MAX, HTTP_PATH_MAX};

/// Bytes of the longest request.
pub(crate) const REQUEST_MAX: usize = HTTP_PATH_MAX + HOST_MAX + 96;
/// The port of HTTP servers.
pub const PORT: u16 = 80;
/// Bytes of a header line that are parsed; the rest of the line is ignored.
const LINE_MAX: usize = 40;

/// Writes the request for a path of a host, for which there is room.
pub(crate) fn request(host: &str, port: u16, path: &str, request: &mut VecView<u8>) {
    let agent = env!("CARGO_PKG_VERSION");
    let mut write = || {
        write!(request, "GET {path} HTTP/1.0\r\nHost: {host}")?;
        if port != PORT {
            write!(request, ":{port}")?;
        }
        write!(
            request,
            "\r\nUser-Agent: failover/{agent}\r\nConnection: close\r\n\r\n"
        )
    };
    let written = write();
    debug_assert!(written.is_ok(), "the configuration bounds path and host");
}

/// Why a response is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// it is not HTTP, or contradicts itself
    Malformed,
    /// its header has more than [`HTTP_HEADER_MAX`] bytes, or more than [`HTTP_BODY_MAX`] bytes of the body lack the text
    TooLong,
}

/// How much of a response was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// more is needed
    More,
    /// the text was found, or the body is complete, or no body is needed
    Whole,
}

/// A response as received so far. All zero bytes when new.
#[derive(Clone, Debug, Default)]
pub struct Response {
    part: Part,
    /// bytes of the header, then of the body
    read: u32,
    status: Option<u16>,
    /// the body's length, if the header has it
    length: Option<u32>,
    /// the beginning of the line that is being read
    line: Vec<u8, LINE_MAX>,
    /// how many bytes at the end of the body read so far match the beginning of the text looked for
    matched: u8,
    found: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    StatusLine,
    Header,
    Body,
}

impl Response {
    /// The status, as soon as the status line is complete.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Whether the text looked for was in the body.
    pub fn found(&self) -> bool {
        self.found
    }

    /// Reads more bytes; `look_for` is the same text each time. Not to be called again after [`Progress::Whole`].
    pub fn read(&mut self, bytes: &[u8], look_for: &str) -> Result<Progress, Broken> {
        for &byte in bytes {
            match self.part {
                Part::StatusLine | Part::Header => self.read_header(byte)?,
                Part::Body => self.read_body(byte, look_for.as_bytes())?,
            }
            if self.is_whole(look_for) {
                return Ok(Progress::Whole);
            }
        }
        Ok(Progress::More)
    }

    fn is_whole(&self, look_for: &str) -> bool {
        let ended = || self.length.is_some_and(|length| self.read >= length);
        self.part == Part::Body && (look_for.is_empty() || self.found || ended())
    }

    /// The server closed the connection. An error if the response is not complete.
    pub fn end(&self) -> Result<(), Broken> {
        let cut_off = self.length.is_some_and(|length| self.read < length);
        if self.part == Part::Body && !cut_off {
            Ok(())
        } else {
            Err(Broken::Malformed)
        }
    }

    fn read_header(&mut self, byte: u8) -> Result<(), Broken> {
        self.read += 1;
        if self.read as usize > HTTP_HEADER_MAX {
            return Err(Broken::TooLong);
        }
        if byte != b'\n' {
            // The end of a long line is ignored.
            let _ = self.line.push(byte);
            return match self.part {
                Part::StatusLine if !begins_like_http(&self.line) => Err(Broken::Malformed),
                _ => Ok(()),
            };
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        match self.part {
            Part::StatusLine => {
                self.status = Some(status(&self.line).ok_or(Broken::Malformed)?);
                self.part = Part::Header;
            }
            _ if self.line.is_empty() => {
                (self.part, self.read) = (Part::Body, 0);
                if matches!(self.status, Some(204 | 304)) {
                    self.length = Some(0); // RFC 9110 sections 15.3.5 and 15.4.5
                }
            }
            _ => self.read_field()?,
        }
        self.line.clear();
        Ok(())
    }

    fn read_field(&mut self) -> Result<(), Broken> {
        const LENGTH: &[u8] = b"content-length:";
        let Some((name, value)) = self.line.split_at_checked(LENGTH.len()) else {
            return Ok(());
        };
        if !name.eq_ignore_ascii_case(LENGTH) {
            return Ok(());
        }
        let length = core::str::from_utf8(value)
            .ok()
            .map(str::trim_ascii)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .ok_or(Broken::Malformed)?;
        match self.length.replace(length) {
            Some(other) if other != length => Err(Broken::Malformed),
            _ => Ok(()),
        }
    }

    fn read_body(&mut self, byte: u8, look_for: &[u8]) -> Result<(), Broken> {
        self.read += 1;
        if self.read as usize > HTTP_BODY_MAX {
            return Err(Broken::TooLong);
        }
        let mut matched = usize::from(self.matched);
        while look_for.get(matched) != Some(&byte) && matched > 0 {
            matched = border(look_for.get(..matched).unwrap_or_default());
        }
        if look_for.get(matched) == Some(&byte) {
            matched += 1;
        }
        self.found = matched == look_for.len();
        self.matched = u8::try_from(matched).unwrap_or(0); // the text has at most 64 bytes
        Ok(())
    }
}

/// The length of a text's longest proper prefix that is also its suffix.
fn border(text: &[u8]) -> usize {
    (1..text.len())
        .find(|&from| text.starts_with(&text[from..]))
        .map_or(0, |from| text.len() - from)
}

fn begins_like_http(line: &[u8]) -> bool {
    line.iter().zip(b"HTTP/1.").all(|(is, wanted)| is == wanted)
}

/// The status of a line like `HTTP/1.1 204 No Content`.
fn status(line: &[u8]) -> Option<u16> {
    let (&[minor, b' ', digits @ ..], rest) =
        line.strip_prefix(b"HTTP/1.")?.split_first_chunk::<5>()?
    else {
        return None;
    };
    let ends = rest.first().is_none_or(|byte| *byte == b' ');
    let all_digits = digits.iter().all(u8::is_ascii_digit) && minor.is_ascii_digit();
    let number = digits.iter().fold(0, |number, digit| {
        number * 10 + u16::from(digit.wrapping_sub(b'0'))
    });
    (ends && all_digits && number >= 100).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The result of a response that arrives byte by byte, and then the end of the connection.
    fn outcome(response: &str, look_for: &str) -> Result<(Option<u16>, bool), Broken> {
        let mut read = Response::default();
        for byte in response.bytes() {
            if read.read(&[byte], look_for)? == Progress::Whole {
                return Ok((read.status(), read.found()));
            }
        }
        read.end()?;
        Ok((read.status(), read.found()))
    }

    #[test]
    fn a_request_asks_for_a_path_of_a_host() {
        let mut asked: Vec<u8, REQUEST_MAX> = Vec::new();
        request("portal.example", 80, "/generate_204", &mut asked);
        let asked = core::str::from_utf8(&asked).unwrap();
        assert!(asked.starts_with("GET /generate_204 HTTP/1.0\r\nHost: portal.example\r\n"));
        assert!(asked.ends_with("\r\n\r\n"));
        let (host, path) = ("h".repeat(HOST_MAX), "/".repeat(HTTP_PATH_MAX));
        let mut longest: Vec<u8, REQUEST_MAX> = Vec::new();
        request(&host, 65535, &path, &mut longest);
        assert!(longest.ends_with(b"Connection: close\r\n\r\n"));
    }

    #[test]
    fn the_status_and_the_text_looked_for_are_found() {
        let page = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nsuccess\n";
        assert_eq!(outcome(page, "success"), Ok((Some(200), true)));
        assert_eq!(outcome(page, "failure"), Ok((Some(200), false)));
        assert_eq!(outcome(page, ""), Ok((Some(200), false)));
        assert_eq!(
            outcome("HTTP/1.0 302 Found\nLocation: /\n\n", ""),
            Ok((Some(302), false))
        );
        assert_eq!(outcome("HTTP/1.1 204\r\n\r\n", ""), Ok((Some(204), false)));
    }

    #[test]
    fn a_length_ends_a_response() {
        let page = "HTTP/1.1 200 OK\r\nCONTENT-LENGTH:  3 \r\n\r\nabc";
        assert_eq!(outcome(page, "bc"), Ok((Some(200), true)));
        assert_eq!(
            outcome(&page[..page.len() - 1], "bc"),
            Err(Broken::Malformed)
        );
        assert_eq!(outcome(page, "cd"), Ok((Some(200), false)));
        let more = [page, "d"].concat();
        assert_eq!(outcome(&more, "cd"), Ok((Some(200), false)));
        let empty = "HTTP/1.1 204 No Content\r\n\r\nx";
        assert_eq!(outcome(empty, "x"), Ok((Some(204), false)));
    }

    #[test]
    fn nothing_is_read_after_the_text_is_found() {
        let page = "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nall is well";
        let progress = |page: &str, look_for| Response::default().read(page.as_bytes(), look_for);
        let header = page.split_inclusive("\r\n\r\n").next().unwrap();
        assert_eq!(progress(header, ""), Ok(Progress::Whole));
        assert_eq!(
            progress(&header[..header.len() - 1], ""),
            Ok(Progress::More)
        );
        assert_eq!(progress(header, "all"), Ok(Progress::More));
        assert_eq!(progress(page, "all"), Ok(Progress::Whole));
    }

    #[test]
    fn a_response_that_is_no_http_is_an_error_at_once() {
        for text in [
            "SSH-2.0",
            "HTTP/2",
            "HTTP/1.1 20\r\n",
            "HTTP/1.1 2000\r\n",
            "HTTP/1.1 x00 \r\n",
            "\r\n",
            "HTTP/1.1 099 \n",
        ] {
            let mut read = Response::default();
            assert_eq!(
                read.read(text.as_bytes(), ""),
                Err(Broken::Malformed),
                "{text}"
            );
        }
        for field in ["-1", "x", "", "99999999999", "1\r\nContent-Length: 2"] {
            let text = std::format!("HTTP/1.1 200 OK\r\nContent-Length: {field}\r\n\r\n");
            assert_eq!(outcome(&text, ""), Err(Broken::Malformed), "{text}");
        }
        assert_eq!(
            outcome("HTTP/1.1 200 OK\r\nX: y\r\n", ""),
            Err(Broken::Malformed)
        );
        assert_eq!(outcome("", ""), Err(Broken::Malformed));
    }

    #[test]
    fn an_endless_response_is_too_long() {
        let endless = |start: &str| {
            let mut read = Response::default();
            let mut result = read.read(start.as_bytes(), "b");
            let mut bytes = start.len();
            while result == Ok(Progress::More) && bytes < 1_000_000 {
                result = read.read(&[b'a'; 1000], "b");
                bytes += 1000;
            }
            (result, bytes)
        };
        let endless_page = "HTTP/1.1 200 \r\nContent-Length: 999999\r\n\r\n";
        let (result, bytes) = endless("HTTP/1.1 204 ");
        assert!(result == Err(Broken::TooLong) && bytes <= HTTP_HEADER_MAX + 1013);
        let (result, bytes) = endless("HTTP/1.1 200 \r\n\r\n");
        assert!(result == Err(Broken::TooLong) && bytes <= HTTP_BODY_MAX + 1017);
        let (result, bytes) = endless(endless_page);
        assert!(result == Err(Broken::TooLong) && bytes <= HTTP_BODY_MAX + 1050);
    }

    proptest! {
        #[test]
        fn a_text_is_found_where_it_is(body in "[ab]{0,40}", look_for in "[ab]{1,6}") {
            let page = std::format!("HTTP/1.1 200 OK\r\n\r\n{body}");
            prop_assert_eq!(outcome(&page, &look_for), Ok((Some(200), body.contains(&look_for))));
        }

        #[test]
        fn the_result_does_not_depend_on_how_it_is_cut_into_pieces(response in "HTTP/1[.][01] 20[04] OK\r\n(Content-Length: [0-9]\r\n|A: b\r\n){0,2}\r\n[ab]{0,9}", at in 0_usize..60) {
            let at = at.min(response.len());
            let end = |read: &Response, result: Result<Progress, Broken>| match result? {
                Progress::Whole => Ok((read.status(), read.found())),
                Progress::More => read.end().map(|()| (read.status(), read.found())),
            };
            let mut one = Response::default();
            let result = one.read(response.as_bytes(), "ab");
            let whole = end(&one, result);
            let mut two = Response::default();
            let (first, second) = response.split_at(at);
            let mut result = two.read(first.as_bytes(), "ab");
            if result == Ok(Progress::More) {
                result = two.read(second.as_bytes(), "ab");
            }
            prop_assert_eq!(end(&two, result), whole);
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), look_for in "\\PC{0,9}") {
            let mut read = Response::default();
            let _ = read.read(&bytes, &look_for);
            let mut read = Response::default();
            let _ = read.read(b"HTTP/1.1 200 OK\r\n\r\n", &look_for).and_then(|_| read.read(&bytes, &look_for));
        }
    }
}
