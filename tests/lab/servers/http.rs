//! A web server of many moods: a page, a portal in its place, and what else listens at such a port.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

use super::super::namespace::Namespace;
use super::super::topology::Provider;
use super::{NAP_MS, Server, Shared};

/// The port of web servers.
pub const PORT: u16 = 80;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// as it should: nothing to be said (204)
    NoContent,
    /// see there (302)
    Redirect,
    /// with a page (200) of this text
    Page(&'static str),
    /// with a page, so much later
    Late(&'static str, Duration),
    /// it accepts, and says nothing
    Silent,
    /// 204, byte by byte, with so much time between two
    ByteByByte(Duration),
    /// a header that goes on and on
    EndlessHeader,
    /// a page that goes on and on
    EndlessBody,
    /// anything
    Garbage,
    /// it greets whoever connects, and then waits for him to go
    Banner,
    /// it accepts, answers whoever asks (204), and never closes
    Holds,
    /// it accepts and closes
    Closes,
    /// it accepts and resets
    Resets,
    /// nobody is at its port
    Refuses,
}

/// One request, or connection over which none has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// all of it
    pub text: String,
    /// who asked
    pub from: SocketAddr,
    /// when
    pub at: Instant,
}

/// A web server.
pub type HttpServer = Server<Mood, Request>;

type Its = Shared<Mood, Request>;

impl HttpServer {
    /// At an address behind a provider.
    pub fn start(provider: &Provider, address: IpAddr, mood: Mood) -> HttpServer {
        HttpServer::start_in(&provider.server, address, mood)
    }

    /// At an address of a namespace.
    pub fn start_in(namespace: &Namespace, address: IpAddr, mood: Mood) -> HttpServer {
        let file = namespace.enter(|| std::fs::File::open("/proc/thread-self/ns/net"));
        let file = file.expect("it is ours");
        Server::run(mood, move |shared| {
            nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET)
                .expect("the namespace is held open");
            serve(SocketAddr::new(address, PORT), shared);
        })
    }
}

fn serve(address: SocketAddr, shared: &Arc<Its>) {
    let mut listener = None;
    while shared.runs() {
        if shared.mood() == Mood::Refuses {
            listener = None;
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        let listener =
            listener.get_or_insert_with(|| TcpListener::bind(address).expect("the port is free"));
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(NAP_MS)).unwrap_or(0) == 0 {
            continue;
        }
        let Ok((stream, from)) = listener.accept() else {
            continue;
        };
        let shared = Arc::clone(shared);
        // It ends with the connection, or when the server does.
        thread::spawn(move || speak(stream, from, &shared));
    }
}

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\nServer: lab\r\n\r\n";

fn speak(mut stream: TcpStream, from: SocketAddr, shared: &Its) -> Option<()> {
    let mood = shared.mood();
    let at = Instant::now();
    let remember = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).into_owned();
        shared.remember(Request { text, from, at });
    };
    let wait = Some(Duration::from_millis(NAP_MS.into()));
    stream.set_read_timeout(wait).ok()?;
    match mood {
        Mood::Closes => {
            remember(b"");
            return None;
        }
        Mood::Resets => {
            remember(b"");
            let linger = nix::libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            setsockopt(&stream, sockopt::Linger, &linger).ok()?;
            return None;
        }
        Mood::Banner => {
            stream.write_all(b"220 mail.example ready\r\n").ok()?;
            remember(b"");
            return wait_for_end(&mut stream, shared);
        }
        _ => {}
    }
    let request = read_request(&mut stream, shared);
    remember(&request);
    if mood == Mood::Holds {
        if !request.is_empty() {
            stream.write_all(NO_CONTENT.as_bytes()).ok()?;
        }
        while shared.runs() {
            thread::sleep(Duration::from_millis(NAP_MS.into()));
        }
        return None;
    }
    if request.is_empty() {
        return None;
    }
    let page = |text: &str| {
        let length = text.len();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nContent-Type: text/html\r\n\r\n{text}"
        )
    };
    match mood {
        Mood::NoContent => stream.write_all(NO_CONTENT.as_bytes()).ok()?,
        Mood::Redirect => stream
            .write_all(b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\nContent-Length: 0\r\n\r\n")
            .ok()?,
        Mood::Page(text) => stream.write_all(page(text).as_bytes()).ok()?,
        Mood::Late(text, delay) => {
            thread::sleep(delay);
            stream.write_all(page(text).as_bytes()).ok()?;
        }
        Mood::Silent => return wait_for_end(&mut stream, shared),
        Mood::ByteByByte(pause) => {
            stream.set_nodelay(true).ok()?;
            for byte in NO_CONTENT.bytes() {
                stream.write_all(&[byte]).ok()?;
                thread::sleep(pause);
            }
        }
        Mood::EndlessHeader => {
            stream.write_all(b"HTTP/1.1 204 No Content\r\n").ok()?;
            while shared.runs() {
                stream.write_all(b"X-More: and more, and more, and more\r\n").ok()?;
            }
        }
        Mood::EndlessBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
            while shared.runs() {
                stream.write_all(b"<p>and more, and more, and more</p>\n").ok()?;
            }
        }
        Mood::Garbage => stream.write_all(&[0xff, 0, 0xaa, 0x55, b'\n', b'\n', 7, 7]).ok()?,
        Mood::Banner | Mood::Holds | Mood::Closes | Mood::Resets | Mood::Refuses => {}
    }
    Some(())
}

/// What comes until an empty line, or the end.
fn read_request(stream: &mut TcpStream, shared: &Its) -> Vec<u8> {
    let mut request = Vec::new();
    while shared.runs() && !request.ends_with(b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => request.extend(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    request
}

fn wait_for_end(stream: &mut TcpStream, shared: &Its) -> Option<()> {
    while shared.runs() {
        match stream.read(&mut [0; 256]) {
            Ok(0) => return Some(()),
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return None,
            _ => {}
        }
    }
    None
}
