//! The daemon's end of the control socket: it moves frames, and does not interpret them.
//!
//! Everything is non-blocking, and every client has its own place and deadline, so no client delays the daemon or another
//! client. One request per connection. What the event loop does:
//!
//! | when | calls |
//! |---|---|
//! | [`Server::listener`] is readable | [`Server::accept`], then as for a client |
//! | a client's descriptor is ready | [`Server::read`]: returns the request once; carry it out, [`Server::push`] the answer's frames; then always [`Server::pump`] |
//! | after `pump` | poll for [`Server::interest`]; none: the client is gone, and its descriptor is closed |
//! | [`Server::next_deadline`] has come | [`Server::expire`] |
//! | a clean stop | [`Server::close`] |

use std::fmt::Write;
use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use heapless::Vec;
use nix::errno::Errno;
use nix::sys::socket::{self, MsgFlags};
use nix::unistd::{getegid, geteuid, read};

use super::file::error::FileError;
use super::listener::listener;
use super::poll::Interest;
use crate::limits::{CLIENTS_MAX, FRAME_MAX};
use crate::types::{Duration, Instant};
use crate::wire::control::{Reply, Request, Text};
use crate::wire::frame;

/// The socket's name in `state_dir`.
pub const SOCKET: &str = "control.sock";
/// Timeout of a client's request, and again of its reading of the answer.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// If every place is taken, a client that has been idle for this long is dropped for a new one.
pub(crate) const GRACE: Duration = Duration::from_millis(100);

/// A client's place, below [`CLIENTS_MAX`]. It is reused when the client is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientId(u8);

impl ClientId {
    /// From 0 to below [`CLIENTS_MAX`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The client with an index.
    pub fn from_index(index: usize) -> Option<ClientId> {
        let index = u8::try_from(index).ok()?;
        (usize::from(index) < CLIENTS_MAX).then_some(ClientId(index))
    }
}

type Buffer = [u8; FRAME_MAX];

/// The client's connection is over.
struct Gone;

/// The control socket and its clients. All zero bytes until [`Server::open`].
#[repr(C)] // the last field shares a memory page with what is small behind it
pub struct Server {
    /// a client's request while it is read, then one or more frames of the answer
    buffers: [Buffer; CLIENTS_MAX],
    /// one element if open; a `Vec`, because an empty one is all zero bytes
    open: Vec<Open, 1>,
}

struct Open {
    listener: UnixListener,
    socket: PathBuf,
    /// the socket file's device and inode number
    inode: (u64, u64),
    /// a spare descriptor: closed when the process has no other left, so that a client can be accepted and closed
    spare: Option<OwnedFd>,
    clients: [Option<Client>; CLIENTS_MAX],
}

struct Client {
    stream: UnixStream,
    /// the client runs as root, or as the daemon's user
    is_owner: bool,
    phase: Phase,
    /// time of the last activity
    moved: Instant,
    deadline: Instant,
}

enum Phase {
    /// bytes of the request in the buffer
    Asking(usize),
    Answering(Answer),
}

struct Answer {
    request: Option<Request>,
    /// the position of `next` in the answer
    at: u32,
    /// bytes in the buffer
    end: usize,
    /// the last frame is in the buffer
    last: bool,
}

impl Server {
    /// Not open.
    #[allow(clippy::new_without_default)] // a default would be made on the stack
    pub const fn new() -> Server {
        Server {
            buffers: [[0; FRAME_MAX]; CLIENTS_MAX],
            open: Vec::new(),
        }
    }

    /// Listens on `state_dir/control.sock`, mode 0600, and replaces the socket of a dead daemon. The caller holds the lock
    /// against a second daemon, and has made the directory.
    ///
    /// # Errors
    /// The error has the path.
    pub fn open(&mut self, state_dir: &Path) -> Result<(), FileError> {
        self.close();
        let socket = state_dir.join(SOCKET);
        match listen_on(&socket) {
            Err(error) => Err(FileError::new("listen on", &socket, error)),
            Ok((listener, inode)) => {
                let _ = self.open.push(Open {
                    spare: listener.as_fd().try_clone_to_owned().ok(),
                    listener,
                    inode,
                    socket,
                    clients: [const { None }; CLIENTS_MAX],
                });
                Ok(())
            }
        }
    }

    /// Closes every connection, and removes the socket file if it is still this server's.
    pub fn close(&mut self) {
        let reachable = self.is_reachable();
        if let Some(open) = self.open.pop().filter(|_| reachable) {
            let _ = std::fs::remove_file(&open.socket);
        }
    }

    /// Whether clients can connect: the socket file was not deleted or replaced.
    pub(crate) fn is_reachable(&self) -> bool {
        let found = |open: &Open| inode(&open.socket).is_ok_and(|inode| inode == open.inode);
        self.open.first().is_some_and(found)
    }

    /// Lets the members of a group connect, with file mode 0660; without a group, the mode is 0600.
    ///
    /// # Errors
    /// The file's group cannot be changed.
    pub(crate) fn admit(&self, group: Option<u32>) -> Result<(), FileError> {
        let Some(open) = self.open.first() else {
            return Ok(());
        };
        let (group, mode) = match group {
            Some(group) => (group, 0o660),
            None => (getegid().as_raw(), 0o600),
        };
        let give = || {
            let found = std::fs::symlink_metadata(open.socket.as_path())?;
            if found.gid() != group {
                std::fs::set_permissions(&open.socket, Permissions::from_mode(0o600))?;
                lchown(&open.socket, None, Some(group))?;
            }
            std::fs::set_permissions(&open.socket, Permissions::from_mode(mode))
        };
        give().map_err(|e: io::Error| {
            let refused = e.raw_os_error() == Some(Errno::EPERM as i32);
            let error = FileError::new("give to control_group", &open.socket, e);
            match refused {
                true => error.advise(
                    "restart the daemon; under systemd, let it by SupplementaryGroups= in a drop-in, see failover(8)",
                ),
                false => error,
            }
        })
    }

    /// Whether a client runs as root, or as the daemon's user: others may only query.
    pub(crate) fn is_owner(&self, client: ClientId) -> bool {
        let open = self.open.first();
        let client = open.and_then(|open| open.clients.get(client.index())?.as_ref());
        client.is_some_and(|client| client.is_owner)
    }

    /// The listening socket, to be polled for reading while the server is open.
    pub fn listener(&self) -> Option<BorrowedFd<'_>> {
        self.open.first().map(|open| open.listener.as_fd())
    }

    /// Accepts one new client. Its request has usually arrived already: call [`Server::read`] at once.
    ///
    /// If every place is taken, the client that has been idle longest is dropped, if it was idle for `GRACE`; else the
    /// new connection is closed without an answer, and the client tries again.
    pub fn accept(&mut self, now: Instant) -> Option<ClientId> {
        let open = self.open.first_mut()?;
        let stream = match open.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                open.turn_away(&error);
                return None;
            }
        };
        stream.set_nonblocking(true).ok()?;
        let client = open.place(now)?;
        open.clients[client.index()] = Some(Client {
            is_owner: is_owner(&stream),
            stream,
            phase: Phase::Asking(0),
            moved: now,
            deadline: now + PATIENCE,
        });
        Some(client)
    }

    /// Reads from a client, once. Returns the request when it is complete, and only once. Invalid bytes are answered with
    /// an error, and a client that has disconnected is dropped.
    pub fn read(&mut self, client: ClientId, now: Instant) -> Option<Request> {
        let (buffer, place) = self.parts(client)?;
        match place.as_mut()?.read(buffer, now) {
            Ok(request) => request,
            Err(Gone) => {
                *place = None;
                None
            }
        }
    }

    /// Adds one frame to a client's answer. `false`: there is no room until the client reads some, or no client is
    /// waiting for it; [`Server::pump`] goes on then. Nothing can follow [`Reply::Done`] or [`Reply::Error`].
    pub fn push(&mut self, client: ClientId, reply: &mut Reply) -> bool {
        let Some((buffer, Some(client))) = self.parts(client) else {
            return false;
        };
        let Phase::Answering(answer) = &mut client.phase else {
            return false;
        };
        if answer.add(reply, buffer) {
            return true;
        }
        // A broken connection fails again in `pump`.
        let _ = answer.send(&client.stream, buffer);
        answer.add(reply, buffer)
    }

    /// Sends what the client's socket takes now, and calls `next` for more when all is sent. `next` gets the request and
    /// the position in the answer, 0 at first, which it advances itself; its `None` means [`Reply::Done`]. It is not called
    /// after [`Server::push`] has ended the answer. Closes after the last frame.
    pub fn pump(
        &mut self,
        client: ClientId,
        now: Instant,
        next: &mut dyn FnMut(&Request, &mut u32) -> Option<Reply>,
    ) {
        let Some((buffer, place)) = self.parts(client) else {
            return;
        };
        if let Some(client) = place
            && client.pump(buffer, now, next).is_err()
        {
            *place = None;
        }
    }

    /// A client's descriptor, and what to poll it for. `None`: the client is gone.
    pub fn interest(&self, client: ClientId) -> Option<(BorrowedFd<'_>, Interest)> {
        let client = self.open.first()?.clients.get(client.index())?.as_ref()?;
        let interest = match client.phase {
            Phase::Asking(_) => Interest::READ,
            Phase::Answering(_) => Interest::WRITE,
        };
        Some((client.stream.as_fd(), interest))
    }

    /// The earliest deadline of a client.
    pub fn next_deadline(&self) -> Option<Instant> {
        let clients = &self.open.first()?.clients;
        clients.iter().flatten().map(|c| c.deadline).min()
    }

    /// Drops the clients whose deadline has passed.
    pub fn expire(&mut self, now: Instant) {
        self.drop_clients(&|client| client.deadline <= now);
    }

    /// Drops the clients that have received a part of an outdated answer; they ask again.
    pub(crate) fn drop_half_told(&mut self) {
        self.drop_clients(&|client| {
            matches!(
                &client.phase,
                Phase::Answering(Answer {
                    at: 1..,
                    request: Some(Request::Status | Request::Explain(_) | Request::Page),
                    ..
                })
            )
        });
    }

    fn drop_clients(&mut self, is_dropped: &dyn Fn(&Client) -> bool) {
        let Some(open) = self.open.first_mut() else {
            return;
        };
        for place in &mut open.clients {
            place.take_if(|client| is_dropped(client));
        }
    }

    fn parts(&mut self, client: ClientId) -> Option<(&mut Buffer, &mut Option<Client>)> {
        let buffer = self.buffers.get_mut(client.index())?;
        let place = self.open.first_mut()?.clients.get_mut(client.index())?;
        Some((buffer, place))
    }
}

/// Listens, and replaces the socket of a dead daemon. Returns the socket file's device and inode number, too.
fn listen_on(path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        _ => {} // any other file makes bind fail, and is not removed
    }
    let listener = listener(path)?;
    Ok((listener, inode(path)?))
}

impl Open {
    /// Accepts and closes a connection by means of the spare descriptor. Else it would stay in the queue, and the listener
    /// readable for ever.
    fn turn_away(&mut self, error: &io::Error) {
        if matches!(
            error.raw_os_error().map(Errno::from_raw),
            Some(Errno::EMFILE | Errno::ENFILE)
        ) {
            self.spare = None;
            drop(self.listener.accept());
            self.spare = self.listener.as_fd().try_clone_to_owned().ok();
        }
    }

    /// The place of the next client.
    fn place(&self, now: Instant) -> Option<ClientId> {
        let moved = |i: &usize| self.clients[*i].as_ref().map(|client| client.moved);
        let longest = (0..CLIENTS_MAX).min_by_key(moved)?; // an empty place is less than any
        let fit = moved(&longest).is_none_or(|at| at + GRACE <= now);
        ClientId::from_index(longest).filter(|_| fit)
    }
}

impl Client {
    fn read(&mut self, buffer: &mut Buffer, now: Instant) -> Result<Option<Request>, Gone> {
        let Phase::Asking(filled) = &mut self.phase else {
            return Ok(None);
        };
        match read(&self.stream, &mut buffer[*filled..]) {
            Ok(0) => return Err(Gone),
            Ok(count) => *filled += count,
            Err(errno) => return later(errno).map(|()| None),
        }
        self.moved = now;
        let mut answer = Answer {
            request: None,
            at: 0,
            end: 0,
            last: false,
        };
        match frame::decode(&buffer[..*filled]) {
            Ok(None) => return Ok(None),
            Ok(Some((request, _))) => answer.request = Some(request),
            Err(fault) => {
                let mut text = Text::new();
                let _ = write!(text, "{fault}");
                answer.add(&mut Reply::Error(text), buffer);
            }
        }
        self.deadline = now + PATIENCE;
        let request = answer.request.clone();
        self.phase = Phase::Answering(answer);
        Ok(request)
    }

    fn pump(
        &mut self,
        buffer: &mut Buffer,
        now: Instant,
        next: &mut dyn FnMut(&Request, &mut u32) -> Option<Reply>,
    ) -> Result<(), Gone> {
        let Phase::Answering(answer) = &mut self.phase else {
            return Ok(());
        };
        loop {
            let unsent = answer.end;
            answer.send(&self.stream, buffer)?;
            if answer.end < unsent {
                self.moved = now;
            }
            if answer.end > 0 {
                return Ok(());
            }
            if answer.last {
                return Err(Gone);
            }
            let reply = answer
                .request
                .as_ref()
                .and_then(|request| next(request, &mut answer.at));
            if !answer.add(&mut reply.unwrap_or_default(), buffer) {
                return Err(Gone);
            }
        }
    }
}

impl Answer {
    fn add(&mut self, reply: &mut Reply, buffer: &mut Buffer) -> bool {
        if self.last {
            return false;
        }
        let Ok(length) = frame::encode(reply, &mut buffer[self.end..]) else {
            return false;
        };
        self.end += length;
        self.last = matches!(reply, Reply::Done | Reply::Error(_));
        true
    }

    /// Sends what the socket takes; the rest moves to the buffer's start, so that there is room after it.
    fn send(&mut self, stream: &UnixStream, buffer: &mut Buffer) -> Result<(), Gone> {
        let mut sent = 0;
        while sent < self.end {
            let unsent = &buffer[sent..self.end];
            match socket::send(stream.as_raw_fd(), unsent, MsgFlags::MSG_NOSIGNAL) {
                Ok(count) => sent += count,
                Err(errno) => {
                    later(errno)?;
                    break;
                }
            }
        }
        buffer.copy_within(sent..self.end, 0);
        self.end -= sent;
        Ok(())
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

fn is_owner(stream: &UnixStream) -> bool {
    let peer = socket::getsockopt(stream, socket::sockopt::PeerCredentials);
    peer.is_ok_and(|peer| peer.uid() == 0 || peer.uid() == geteuid().as_raw())
}

/// Whether to wait for the socket, or to drop the client.
fn later(errno: Errno) -> Result<(), Gone> {
    match errno {
        Errno::EAGAIN | Errno::EINTR => Ok(()),
        _ => Err(Gone),
    }
}
