//! The client's end of the control socket: one request, and the whole answer.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::time::TimeVal;
use nix::unistd::read;

use crate::limits::FRAME_MAX;
use crate::linux::clock::pause;
use crate::linux::control::SOCKET;
use crate::linux::file::open::c_path;
use crate::types::Family;
use crate::wire::control::{Entry, Reply, Request, Text, Warning};
use crate::wire::frame::{self, FrameError};
use crate::wire::snapshot::{self, Header, ProviderHead};

/// Timeout for each part of the daemon's answer, in seconds.
const PATIENCE_S: u8 = 6;
/// A busy daemon closes a client's connection; the client tries again so many times …
const TRIES: u32 = 60;
/// … after this pause.
const PAUSE_MS: u8 = 50;

/// The daemon's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// the daemon as a whole
    pub header: Option<Header>,
    /// what the user should correct
    pub warnings: Vec<Warning>,
    /// the providers, best rank first
    pub providers: Vec<Provider>,
    /// entries of the journal, oldest first
    pub entries: Vec<Entry>,
    /// lines of text
    pub notes: Vec<Text>,
    /// why the request was refused
    pub refused: Option<Text>,
}

/// One provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// the provider as a whole
    pub head: ProviderHead,
    /// one per managed family
    pub paths: Vec<snapshot::Path>,
    /// how many connections are its own, if they were counted
    pub connections: Option<Connections>,
}

/// How many connections are a provider's own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Connections {
    pub ipv4: u32,
    pub ipv6: u32,
}

impl Connections {
    /// Those of one family.
    pub fn of(&self, family: Family) -> u32 {
        match family {
            Family::V4 => self.ipv4,
            Family::V6 => self.ipv6,
        }
    }

    /// There is one more.
    pub fn add(&mut self, family: Family) {
        match family {
            Family::V4 => self.ipv4 += 1,
            Family::V6 => self.ipv6 += 1,
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// no daemon listens on the socket
    NoDaemon,
    /// the socket is another user's
    NotPermitted,
    /// no answer in time
    Silent,
    /// the connection was closed early, at each try
    Closed,
    /// the answer cannot be decoded
    Frame(FrameError),
    /// anything else
    Errno(Errno),
}

impl From<Errno> for AskError {
    fn from(errno: Errno) -> AskError {
        match errno {
            Errno::ENOENT | Errno::ECONNREFUSED => AskError::NoDaemon,
            Errno::EACCES | Errno::EPERM => AskError::NotPermitted,
            Errno::EAGAIN | Errno::ETIMEDOUT => AskError::Silent,
            Errno::ECONNRESET | Errno::EPIPE => AskError::Closed,
            _ => AskError::Errno(errno),
        }
    }
}

/// Sends a request to the daemon of a `state_dir`. A request may be carried out twice if the daemon is too busy to answer
/// at once; all requests are idempotent.
///
/// # Errors
/// See [`AskError`].
pub fn ask(state_dir: &Path, request: &Request) -> Result<Box<Answer>, AskError> {
    let mut tries = 0;
    loop {
        match ask_once(&state_dir.join(SOCKET), request) {
            Err(AskError::Closed) if tries < TRIES => pause(PAUSE_MS),
            result => return result,
        }
        tries += 1;
    }
}

fn ask_once(socket: &Path, request: &Request) -> Result<Box<Answer>, AskError> {
    let stream = connect(socket)?;
    let mut buffer = [0; FRAME_MAX];
    let length = frame::encode(&mut request.clone(), &mut buffer).map_err(AskError::Frame)?;
    // It is short, and the socket's buffer is empty: all of it fits.
    socket::send(
        stream.as_raw_fd(),
        &buffer[..length],
        MsgFlags::MSG_NOSIGNAL,
    )?;

    let mut answer = Box::<Answer>::default();
    let mut filled = 0;
    loop {
        let mut reply = Reply::default();
        match frame::decode_into(&buffer[..filled], &mut reply).map_err(AskError::Frame)? {
            Some(taken) => {
                buffer.copy_within(taken..filled, 0);
                filled -= taken;
                if answer.take(reply) {
                    return Ok(answer);
                }
            }
            None => match read(&stream, &mut buffer[filled..]) {
                Ok(0) => return Err(AskError::Closed),
                Ok(count) => filled += count,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            },
        }
    }
}

/// Connects, with a timeout on everything, including connect(2): a stopped daemon's queue may be full.
fn connect(path: &Path) -> Result<OwnedFd, Errno> {
    let fd = socket::socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let patience = TimeVal::new(PATIENCE_S.into(), 0);
    socket::setsockopt(&fd, sockopt::SendTimeout, &patience)?;
    socket::setsockopt(&fd, sockopt::ReceiveTimeout, &patience)?;
    socket::connect(fd.as_raw_fd(), &UnixAddr::new(&*c_path(path)?)?)?;
    Ok(fd)
}

impl Answer {
    /// Adds a reply; returns whether it was the last.
    fn take(&mut self, reply: Reply) -> bool {
        match reply {
            Reply::Header(header) => self.header = Some(header),
            Reply::Warning(warning) => self.warnings.push(warning),
            Reply::Provider(head) => self.providers.push(Provider {
                head,
                paths: Vec::new(),
                connections: None,
            }),
            Reply::Path(path) => {
                if let Some(provider) = self.providers.last_mut() {
                    provider.paths.push(path);
                }
            }
            Reply::History(history) => {
                let provider = self.providers.last_mut();
                if let Some(path) = provider.and_then(|provider| provider.paths.last_mut()) {
                    path.history = Some(history);
                }
            }
            Reply::Entry(entry) => self.entries.push(entry),
            Reply::Note(note) => self.notes.push(note),
            Reply::Error(text) => self.refused = Some(text),
            Reply::Done => return true,
        }
        self.refused.is_some()
    }
}
