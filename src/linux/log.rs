//! The destination of log lines: stderr in the foreground, else the system log.
//!
//! A syslog daemon that hangs, is restarted or does not run yet may cost lines, but never delays us: its socket does not
//! block, and is reopened after an error. Lines that it does not take go to stderr.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket,
};
use syslog::{Facility, LogFormat, Logger, Severity};

use super::errno::errno_of;
use super::terminal::note;
use crate::config::LogLevel;

static SINK: Sink = Sink(Mutex::new(State::Stderr));

/// Starts logging. To be called once; lines logged earlier are lost.
pub fn init(foreground: bool, level: LogLevel) {
    if !foreground {
        let syslog = open_syslog(None).ok();
        if syslog.is_none() {
            to_stderr(
                Level::Warn,
                format_args!("no syslog daemon at /dev/log: logging to stderr until there is one"),
            );
        }
        *SINK.lock() = State::Syslog(syslog);
    }
    let _ = log::set_logger(&SINK); // fails if it is set already, to the same sink
    set_level(level);
}

/// Sets the log level.
pub(crate) fn set_level(level: LogLevel) {
    log::set_max_level(match level {
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
    });
}

/// Logs an error. Each macro of the crate would also write where it stands, which no line shows.
pub(crate) fn error(text: Arguments<'_>) {
    line(Level::Error, text);
}

/// Logs a warning.
pub(crate) fn warn(text: Arguments<'_>) {
    line(Level::Warn, text);
}

/// Logs what is no fault.
pub(crate) fn info(text: Arguments<'_>) {
    line(Level::Info, text);
}

fn line(level: Level, text: Arguments<'_>) {
    log::log!(level, "{text}");
}

struct Sink(Mutex<State>);

enum State {
    Stderr,
    /// `None`: it could not be opened for the last line
    Syslog(Option<Logger<Datagrams, Line>>),
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Log lines of libraries are dropped.
        metadata.target().starts_with("failover")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let taken = match &mut *self.lock() {
            State::Stderr => false,
            State::Syslog(syslog) => to_syslog(syslog, None, record.level(), *record.args()),
        };
        if !taken {
            to_stderr(record.level(), *record.args());
        }
    }

    fn flush(&self) {}
}

fn to_stderr(level: Level, text: Arguments<'_>) {
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    };
    // One write per line, so that lines of several processes do not mix. A failure cannot be reported.
    note(&format!("{level}: {text}\n"));
}

/// Returns whether the system log has taken the line.
fn to_syslog(
    syslog: &mut Option<Logger<Datagrams, Line>>,
    socket: Option<&str>,
    level: Level,
    text: Arguments<'_>,
) -> bool {
    let severity = match level {
        Level::Error => Severity::LOG_ERR,
        Level::Warn => Severity::LOG_WARNING,
        Level::Info => Severity::LOG_INFO,
        Level::Debug | Level::Trace => Severity::LOG_DEBUG,
    };
    for _ in 0..2 {
        if syslog.is_none() {
            *syslog = open_syslog(socket).ok();
        }
        let Some(logger) = syslog else {
            return false;
        };
        match logger.formatter.format(&mut logger.backend, severity, text) {
            Ok(()) => return true,
            // Its queue is full: it hangs, so a new connection would not help.
            Err(syslog::Error::Write(error)) if errno_of(&error) == Errno::EAGAIN => {
                return false;
            }
            Err(_) => *syslog = None, // it was restarted
        }
    }
    false
}

/// Opens the given socket, or else the default one, which takes datagrams on Linux. The crate's own connections have four
/// kinds, two of which are buffered.
fn open_syslog(path: Option<&str>) -> Result<Logger<Datagrams, Line>, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let datagrams = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    let path = Path::new(path.unwrap_or("/dev/log"));
    connect(datagrams.as_raw_fd(), &UnixAddr::new(path)?)?;
    let line = Line {
        process: std::process::id(),
    };
    Ok(Logger::new(Datagrams(datagrams), line))
}

/// Sends each write as one datagram.
struct Datagrams(OwnedFd);

impl Write for Datagrams {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        Ok(send(self.0.as_raw_fd(), line, MsgFlags::MSG_NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line in the format of RFC 3164, without the time: the syslog daemon adds it (section 4.3.3), in local time, unlike the
/// crate's formatters.
///
/// OpenWrt's logd takes the first 16 characters as the time, and drops them, if the last of them is a space. The pid is
/// padded to five digits, so it never is.
struct Line {
    process: u32,
}

impl LogFormat<Arguments<'_>> for Line {
    fn format<W: Write>(
        &self,
        w: &mut W,
        severity: Severity,
        text: Arguments<'_>,
    ) -> syslog::Result<()> {
        let priority = Facility::LOG_DAEMON as u8 | severity as u8;
        let process = self.process;
        let line = format!("<{priority}>failover[{process:05}]: {text}");
        w.write_all(line.as_bytes()).map_err(syslog::Error::Write)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::path::PathBuf;

    use super::*;

    fn socket(name: &str) -> PathBuf {
        let file = format!("failover-syslog-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(file);
        let _ = std::fs::remove_file(&path);
        path
    }

    fn received(daemon: &UnixDatagram) -> String {
        let mut bytes = [0; 200];
        let count = daemon.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    #[test]
    fn lines_reach_a_syslog_daemon_and_again_after_its_restart() {
        let path = socket("restart");
        let path_text = path.to_str();
        let mut syslog = None;
        let mut log =
            |level, text: &str| to_syslog(&mut syslog, path_text, level, format_args!("{text}"));
        assert!(!log(Level::Error, "before there is one"));

        let daemon = UnixDatagram::bind(&path).unwrap();
        assert!(log(Level::Warn, "isp1 is offline"));
        let id = std::process::id();
        assert_eq!(
            received(&daemon),
            format!("<28>failover[{id:05}]: isp1 is offline")
        );

        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        let daemon = UnixDatagram::bind(&path).unwrap();
        assert!(log(Level::Info, "isp1 is online"));
        assert_eq!(
            received(&daemon),
            format!("<30>failover[{id:05}]: isp1 is online")
        );
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn logd_takes_no_part_of_a_line_as_the_time() {
        for process in [1, 23, 456, 1323, 65_535, 100_000, 4_194_304] {
            let mut line = Vec::new();
            let text = format_args!("a b c d e f");
            Line { process }
                .format(&mut line, Severity::LOG_INFO, text)
                .unwrap();
            let line = String::from_utf8(line).unwrap();
            let told = line.strip_prefix("<30>").unwrap();
            assert!(told.starts_with("failover["), "{told}");
            assert_ne!(told.as_bytes()[15], b' ', "{told}");
        }
    }

    #[test]
    fn a_syslog_daemon_that_hangs_causes_no_delay() {
        let path = socket("hang");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut syslog = None;
        let mut taken = 0;
        while to_syslog(&mut syslog, path.to_str(), Level::Info, format_args!("x")) {
            taken += 1;
            assert!(taken < 100_000, "its queue has an end");
        }
        assert!(taken > 0);
        received(&daemon);
        assert!(
            to_syslog(&mut syslog, path.to_str(), Level::Info, format_args!("x")),
            "on the same connection, when it goes on"
        );
        std::fs::remove_file(&path).unwrap();
    }
}
