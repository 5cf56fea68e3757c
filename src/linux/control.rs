//! The daemon's end of the control socket: it moves frames, and knows nothing of what they say.
//!
//! Everything is non-blocking, and every client has a place and a deadline of its own, so nobody delays the daemon or
//! another client. One request a connection. What the event loop does:
//!
//! | when | calls |
//! |---|---|
//! | [`Server::listener`] is readable | [`Server::accept`], then as for a client |
//! | a client's descriptor is ready | [`Server::read`]: a request is there once; carry it out, [`Server::push`] the answer's frames; then always [`Server::pump`] |
//! | after `pump` | watch [`Server::interest`]; none: the client is gone, and so is its descriptor |
//! | [`Server::next_deadline`] has come | [`Server::expire`] |
//! | a clean stop | [`Server::close`] |

use std::fmt::Write;
use std::fs::Permissions;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use heapless::Vec;
use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{getegid, geteuid};

use super::file::error::FileError;
use super::poll::Interest;
use crate::limits::{CLIENTS_MAX, FRAME_MAX};
use crate::types::{Duration, Instant};
use crate::wire::control::{Reply, Request, Text};
use crate::wire::frame;

/// The socket's name in `state_dir`.
pub const SOCKET: &str = "control.sock";
/// A client has this long to ask, and as long again to take the answer.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// When every place is taken, a client that has not moved for this long makes way for a new one.
pub const GRACE: Duration = Duration::from_millis(100);

/// A client's place, below [`CLIENTS_MAX`]. It is another client's after this one is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientId(u8);

impl ClientId {
    /// From 0 to below [`CLIENTS_MAX`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The client of an index.
    pub fn from_index(index: usize) -> Option<ClientId> {
        let index = u8::try_from(index).ok()?;
        (usize::from(index) < CLIENTS_MAX).then_some(ClientId(index))
    }
}

type Buffer = [u8; FRAME_MAX];

/// The client is to be forgotten.
struct Gone;

/// The control socket and its clients. All zero bytes until [`Server::open`].
pub struct Server {
    /// a client's request while it asks, then a frame or more of the answer
    buffers: [Buffer; CLIENTS_MAX],
    /// one when open; a `Vec`, because its emptiness is zero bytes
    open: Vec<Open, 1>,
}

struct Open {
    listener: UnixListener,
    socket: PathBuf,
    /// the device and the number of its inode
    inode: (u64, u64),
    /// given up for a moment when the process has no descriptor left, to turn a client away
    spare: Option<OwnedFd>,
    clients: [Option<Client>; CLIENTS_MAX],
}

struct Client {
    stream: UnixStream,
    /// it is of root, or of the user we run as
    is_owner: bool,
    phase: Phase,
    /// when it last did something
    moved: Instant,
    deadline: Instant,
}

enum Phase {
    /// so many bytes of the request are in the buffer
    Asking(usize),
    Answering(Answer),
}

struct Answer {
    request: Option<Request>,
    /// how far `next` is, in a count of its own
    at: u32,
    /// so many bytes are in the buffer
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

    /// Listens on `state_dir/control.sock`, mode 0600, in place of what a dead daemon left there. The caller holds the
    /// lock that keeps two daemons apart, and has made the directory.
    ///
    /// # Errors
    /// With the path, for people.
    pub fn open(&mut self, state_dir: &Path) -> Result<(), FileError> {
        self.close();
        let socket = state_dir.join(SOCKET);
        let open = Open::new(&socket).map_err(|e| FileError::new("listen on", &socket, e))?;
        let _ = self.open.push(open);
        Ok(())
    }

    /// Closes every connection and removes the socket, if that is not another's.
    pub fn close(&mut self) {
        let reachable = self.is_reachable();
        if let Some(open) = self.open.pop().filter(|_| reachable) {
            let _ = std::fs::remove_file(&open.socket);
        }
    }

    /// Whether clients find it: nobody has deleted its file.
    pub fn is_reachable(&self) -> bool {
        let found = |open: &Open| inode(&open.socket).is_ok_and(|inode| inode == open.inode);
        self.open.first().is_some_and(found)
    }

    /// Lets the members of a group connect, or none: the file's mode is 0660 then, else 0600.
    ///
    /// # Errors
    /// The file cannot be given to that group.
    pub fn admit(&self, group: Option<u32>) -> Result<(), FileError> {
        let Some(open) = self.open.first() else {
            return Ok(());
        };
        let (group, mode) = match group {
            Some(group) => (group, 0o660),
            None => (getegid().as_raw(), 0o600),
        };
        let give = || {
            let found = std::fs::symlink_metadata(&open.socket)?;
            if found.gid() != group {
                std::fs::set_permissions(&open.socket, Permissions::from_mode(0o600))?;
                lchown(&open.socket, None, Some(group))?;
            }
            std::fs::set_permissions(&open.socket, Permissions::from_mode(mode))
        };
        give().map_err(|e: io::Error| {
            let refused = e.raw_os_error() == Some(Errno::EPERM as i32);
            let trouble = FileError::new("give to control_group", &open.socket, e);
            match refused {
                true => trouble.advise(
                    "restart the daemon; under systemd, let it by SupplementaryGroups= in a drop-in, see failover(8)",
                ),
                false => trouble,
            }
        })
    }

    /// Whether a client is of root, or of the user we run as: others may only ask.
    pub fn is_owner(&self, client: ClientId) -> bool {
        let open = self.open.first();
        let client = open.and_then(|open| open.clients.get(client.index())?.as_ref());
        client.is_some_and(|client| client.is_owner)
    }

    /// To be watched for reading, as long as the server is open.
    pub fn listener(&self) -> Option<BorrowedFd<'_>> {
        self.open.first().map(|open| open.listener.as_fd())
    }

    /// Takes one new client. Its request is mostly there already: go on with [`Server::read`] at once.
    ///
    /// When every place is taken, the one that has not moved for the longest time makes way, if that is [`GRACE`];
    /// else the new one is turned away without a word, which its end understands as "try again".
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

    /// Reads from a client, once. The request when it is complete, and never again. Garbage is answered with an error,
    /// and a client that leaves is forgotten.
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

    /// Adds one frame to a client's answer. `false`: there is no room until the client takes some, or nobody is
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
        // A broken connection shows itself again in `pump`.
        let _ = answer.send(&client.stream, buffer);
        answer.add(reply, buffer)
    }

    /// Sends what a client takes now, and asks for more whenever all is sent: `next` gets the request and its place in the
    /// answer, 0 at first, which it moves on as it likes; its `None` means [`Reply::Done`]. An answer that [`Server::push`]
    /// has ended is not asked for. Closes after the last frame.
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

    /// A client's descriptor, and what to watch it for. `None`: it is gone.
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

    /// Drops the clients whose deadline has come.
    pub fn expire(&mut self, now: Instant) {
        for place in self.open.iter_mut().flat_map(|open| &mut open.clients) {
            place.take_if(|client| client.deadline <= now);
        }
    }

    /// Drops the clients that have heard a part of what is not so any more; they ask again.
    pub fn drop_half_told(&mut self) {
        let half_told = |client: &mut Client| match &client.phase {
            Phase::Answering(Answer {
                at: 1.., request, ..
            }) => {
                matches!(request, Some(Request::Status | Request::Explain(_)))
            }
            _ => false,
        };
        for place in self.open.iter_mut().flat_map(|open| &mut open.clients) {
            place.take_if(half_told);
        }
    }

    fn parts(&mut self, client: ClientId) -> Option<(&mut Buffer, &mut Option<Client>)> {
        let buffer = self.buffers.get_mut(client.index())?;
        let place = self.open.first_mut()?.clients.get_mut(client.index())?;
        Some((buffer, place))
    }
}

impl Open {
    fn new(socket: &Path) -> io::Result<Open> {
        match std::fs::symlink_metadata(socket) {
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(socket)?,
            _ => {} // whatever else is there makes bind fail, and is not ours to remove
        }
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        // The file takes its mode from the socket's inode (unix(7), `unix_bind` in net/unix/af_unix.c): it is never
        // there with another one.
        fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR)?;
        socket::bind(fd.as_raw_fd(), &UnixAddr::new(socket)?)?;
        socket::listen(&fd, Backlog::new(64)?)?;
        let listener = UnixListener::from(fd);
        Ok(Open {
            spare: listener.as_fd().try_clone_to_owned().ok(),
            listener,
            inode: inode(socket)?,
            socket: socket.to_owned(),
            clients: [const { None }; CLIENTS_MAX],
        })
    }

    /// Without a free descriptor a connection stays in the queue, and the listener readable for ever.
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

    /// Where the next client goes.
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
        match (&self.stream).read(&mut buffer[*filled..]) {
            Ok(0) => return Err(Gone),
            Ok(count) => *filled += count,
            Err(error) => return later(&error).map(|()| None),
        }
        self.moved = now;
        let (request, fault) = match frame::decode::<Request>(&buffer[..*filled]) {
            Ok(None) => return Ok(None),
            Ok(Some((request, _))) => (Some(request), None),
            Err(fault) => (None, Some(fault)),
        };
        self.deadline = now + PATIENCE;
        let mut answer = Answer {
            request: request.clone(),
            at: 0,
            end: 0,
            last: false,
        };
        if let Some(fault) = fault {
            let mut text = Text::new();
            let _ = write!(text, "{fault}");
            answer.add(&mut Reply::Error(text), buffer);
        }
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

    /// Sends what the socket takes; what it does not take moves to the buffer's start, so that there is room behind it.
    fn send(&mut self, stream: &UnixStream, buffer: &mut Buffer) -> Result<(), Gone> {
        let mut sent = 0;
        while sent < self.end {
            let unsent = &buffer[sent..self.end];
            match socket::send(stream.as_raw_fd(), unsent, MsgFlags::MSG_NOSIGNAL) {
                Ok(count) => sent += count,
                Err(errno) => {
                    later(&errno.into())?;
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

/// Whether to wait for the socket, or to give the client up.
fn later(error: &io::Error) -> Result<(), Gone> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        _ => Err(Gone),
    }
}
