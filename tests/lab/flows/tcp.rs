//! TCP connections of users: transfers and idle sessions.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use super::super::namespace::Namespace;
use super::super::{LIFETIME, wait_until};
use super::{DOWNLOAD, EVERY, LINES, PIECE, UPLOAD};

/// Timeout for a new connection, and for the first byte.
const PATIENCE: Duration = Duration::from_secs(3);

/// How a connection ended, or why a line has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// by a reset
    Reset,
    /// by the other side, or what stands between
    Closed,
    /// nothing came in time: a user would wait on
    Silence,
    /// another error
    Other(ErrorKind),
}

impl From<ErrorKind> for End {
    fn from(kind: ErrorKind) -> End {
        match kind {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionRefused => {
                End::Reset
            }
            ErrorKind::WouldBlock | ErrorKind::TimedOut => End::Silence,
            kind => End::Other(kind),
        }
    }
}

/// A connection, and the number that the server told.
fn connect(from: &Namespace, to: SocketAddr) -> Result<(TcpStream, u8), End> {
    connect_with(from, to, |_| {})
}

fn connect_with(
    from: &Namespace,
    to: SocketAddr,
    prepare: impl FnOnce(&TcpStream) + Send,
) -> Result<(TcpStream, u8), End> {
    let connected = from.enter(|| TcpStream::connect_timeout(&to, PATIENCE));
    let mut stream = connected.map_err(|error| End::from(error.kind()))?;
    prepare(&stream);
    let set = stream.set_nodelay(true);
    set.and_then(|()| stream.set_read_timeout(Some(PATIENCE)))
        .expect("it is a socket");
    let mut number = [0];
    let read = stream.read_exact(&mut number);
    read.map_err(|error| End::from(error.kind()))?;
    Ok((stream, number[0]))
}

/// A connection that is idle but for single lines.
#[derive(Debug)]
pub struct Session {
    stream: TcpStream,
    /// the number of the server that answered
    pub by: u8,
}

impl Session {
    /// Connects to the service of lines at an address.
    pub fn open(from: &Namespace, to: IpAddr) -> Result<Session, End> {
        Session::open_at(from, (to, LINES).into())
    }

    /// The same at any port, as one that is forwarded.
    pub fn open_at(from: &Namespace, to: SocketAddr) -> Result<Session, End> {
        let (stream, by) = connect(from, to)?;
        Ok(Session { stream, by })
    }

    /// Sends a line, and waits for its answer.
    pub fn say(&mut self) -> Result<(), End> {
        self.say_within(PATIENCE)
    }

    /// The same with a timeout.
    pub fn say_within(&mut self, timeout: Duration) -> Result<(), End> {
        let set = self.stream.set_read_timeout(Some(timeout));
        set.expect("it is not zero");
        let said = self.stream.write_all(b"A line.\n");
        said.map_err(|error| End::from(error.kind()))?;
        match self.stream.read(&mut [0; 16]) {
            Ok(0) => Err(End::Closed),
            Ok(_) => Ok(()),
            Err(error) => Err(End::from(error.kind())),
        }
    }

    /// Its own address, as the LAN sees it.
    pub fn local(&self) -> SocketAddr {
        self.stream.local_addr().expect("it is connected")
    }
}

/// What a transfer has met.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    /// pieces that arrived at the other end
    pieces: u64,
    /// the last of them
    last: Option<Instant>,
    stall: Duration,
    ended: Option<(Instant, End)>,
}

/// A running download or upload.
#[derive(Debug)]
pub struct Transfer {
    /// the number of the server
    pub by: u8,
    met: Arc<Mutex<Met>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Transfer {
    /// A download; its kernel asks with a packet each second whether the server lives.
    pub fn download(from: &Namespace, to: IpAddr) -> Result<Transfer, End> {
        Transfer::start(from, (to, DOWNLOAD).into(), download)
    }

    /// An upload.
    pub fn upload(from: &Namespace, to: IpAddr) -> Result<Transfer, End> {
        Transfer::start(from, (to, UPLOAD).into(), upload)
    }

    fn start(from: &Namespace, to: SocketAddr, run: Run) -> Result<Transfer, End> {
        let (stream, by) = connect_with(from, to, |stream| {
            let set = setsockopt(stream, sockopt::KeepAlive, &true)
                .and_then(|()| setsockopt(stream, sockopt::TcpKeepIdle, &1))
                .and_then(|()| setsockopt(stream, sockopt::TcpKeepInterval, &1));
            set.expect("it is a TCP socket");
        })?;
        let (met, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (met, stop) = (Arc::clone(&met), Arc::clone(&stop));
            thread::spawn(move || {
                let end = run(&stream, &met, &stop);
                let mut met = met.lock().expect("no thread panics while holding it");
                met.ended = end.map(|end| (Instant::now(), end));
            })
        };
        Ok(Transfer {
            by,
            met,
            stop,
            thread: Some(thread),
        })
    }

    fn met(&self) -> Met {
        *self.met.lock().expect("no thread panics while holding it")
    }

    /// Pieces that have arrived.
    pub fn pieces(&self) -> u64 {
        self.met().pieces
    }

    /// Whether more pieces arrive within the time.
    pub fn goes_on(&self, timeout: Duration) -> bool {
        let before = self.pieces();
        wait_until(timeout, || {
            self.ended().is_some() || self.pieces() > before + 50
        });
        self.ended().is_none() && self.pieces() > before + 50
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<End> {
        self.met().ended.map(|(_, end)| end)
    }

    /// Waits for its end, and tells how long after `since` it came.
    pub fn end_within(&self, timeout: Duration, since: Instant) -> Option<(Duration, End)> {
        wait_until(timeout, || self.met().ended.is_some());
        let (at, end) = self.met().ended?;
        Some((at.saturating_duration_since(since), end))
    }

    /// The longest time without a piece.
    pub fn stall(&self) -> Duration {
        let met = self.met();
        let now = met.ended.map_or_else(Instant::now, |(at, _)| at);
        let last = met
            .last
            .map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        met.stall.max(last)
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Runs a transfer to its end; none if it was stopped.
type Run = fn(&TcpStream, &Mutex<Met>, &AtomicBool) -> Option<End>;

fn download(stream: &TcpStream, met: &Mutex<Met>, stop: &AtomicBool) -> Option<End> {
    let wait = Some(Duration::from_millis(50));
    stream.set_read_timeout(wait).ok()?;
    let end = Instant::now() + LIFETIME;
    while !stop.load(Ordering::Relaxed) && Instant::now() < end {
        if let Some(end) = take(stream, met) {
            return Some(end);
        }
    }
    None
}

fn upload(stream: &TcpStream, met: &Mutex<Met>, stop: &AtomicBool) -> Option<End> {
    stream.set_read_timeout(Some(EVERY)).ok()?;
    stream.set_write_timeout(Some(EVERY)).ok()?;
    let end = Instant::now() + LIFETIME;
    while !stop.load(Ordering::Relaxed) && Instant::now() < end {
        // A full buffer is not the end.
        if let Err(error) = (&mut &*stream).write(&PIECE)
            && End::from(error.kind()) != End::Silence
        {
            return Some(End::from(error.kind()));
        }
        if let Some(end) = take(stream, met) {
            return Some(end);
        }
    }
    None
}

/// Reads what is there, and counts it as a piece; or the end.
fn take(mut stream: &TcpStream, met: &Mutex<Met>) -> Option<End> {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) => return Some(End::Closed),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
        Err(error) => return Some(End::from(error.kind())),
    }
    let now = Instant::now();
    let mut met = met.lock().expect("no thread panics while holding it");
    let last = met.last.replace(now).unwrap_or(now);
    met.stall = met.stall.max(now - last);
    met.pieces += 1;
    None
}
