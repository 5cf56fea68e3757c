//! A web server with configurable behaviour: a page, a captive portal, or another service at the port.

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
use super::{POLL_MS, Server, Shared};

/// The port of web servers.
pub const PORT: u16 = 80;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// with "204 No Content"
    NoContent,
    /// with a redirect (302)
    Redirect,
    /// with a page (200) with this text
    Page(&'static str),
    /// with a page, after a delay
    Late(&'static str, Duration),
    /// accepts, and sends nothing
    Silent,
    /// with 204, byte by byte, with this pause between bytes
    ByteByByte(Duration),
    /// with an endless header
    EndlessHeader,
    /// with an endless page
    EndlessBody,
    /// with garbage
    Garbage,
    /// sends a greeting, and then waits for the client to close
    Banner,
    /// answers with 204, and never closes
    Holds,
    /// accepts and closes
    Closes,
    /// accepts and resets
    Resets,
    /// its port is closed
    Refuses,
}

/// One request, or a connection without a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// the whole request
    pub text: String,
    /// the client
    pub from: SocketAddr,
    /// when
    pub at: Instant,
}

/// A web server.
pub type HttpServer = Server<Behaviour, Request>;

type Its = Shared<Behaviour, Request>;

impl HttpServer {
    /// Starts at an address behind a provider.
    pub fn start(provider: &Provider, address: IpAddr, behaviour: Behaviour) -> HttpServer {
        HttpServer::start_in(&provider.server, address, behaviour)
    }

    /// Starts at an address of a namespace.
    pub fn start_in(namespace: &Namespace, address: IpAddr, behaviour: Behaviour) -> HttpServer {
        let file = namespace.enter(|| std::fs::File::open("/proc/thread-self/ns/net"));
        let file = file.expect("it is ours");
        Server::run(behaviour, move |shared| {
            nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET)
                .expect("the namespace is held open");
            serve(SocketAddr::new(address, PORT), shared);
        })
    }
}

fn serve(address: SocketAddr, shared: &Arc<Its>) {
    let mut listener = None;
    while shared.runs() {
        if shared.behaviour() == Behaviour::Refuses {
            listener = None;
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        let listener =
            listener.get_or_insert_with(|| TcpListener::bind(address).expect("the port is free"));
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(POLL_MS)).unwrap_or(0) == 0 {
            continue;
        }
        let Ok((stream, from)) = listener.accept() else {
            continue;
        };
        let shared = Arc::clone(shared);
        // The thread ends with the connection or with the server.
        thread::spawn(move || answer(stream, from, &shared));
    }
}

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\nServer: lab\r\n\r\n";

fn answer(mut stream: TcpStream, from: SocketAddr, shared: &Its) -> Option<()> {
    let behaviour = shared.behaviour();
    let at = Instant::now();
    let record = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).into_owned();
        shared.record(Request { text, from, at });
    };
    let wait = Some(Duration::from_millis(POLL_MS.into()));
    stream.set_read_timeout(wait).ok()?;
    match behaviour {
        Behaviour::Closes => {
            record(b"");
            return None;
        }
        Behaviour::Resets => {
            record(b"");
            let linger = nix::libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            setsockopt(&stream, sockopt::Linger, &linger).ok()?;
            return None;
        }
        Behaviour::Banner => {
            stream.write_all(b"220 mail.example ready\r\n").ok()?;
            record(b"");
            return wait_for_end(&mut stream, shared);
        }
        _ => {}
    }
    let request = read_request(&mut stream, shared);
    record(&request);
    if behaviour == Behaviour::Holds {
        if !request.is_empty() {
            stream.write_all(NO_CONTENT.as_bytes()).ok()?;
        }
        while shared.runs() {
            thread::sleep(Duration::from_millis(POLL_MS.into()));
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
    match behaviour {
        Behaviour::NoContent => stream.write_all(NO_CONTENT.as_bytes()).ok()?,
        Behaviour::Redirect => stream
            .write_all(b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\nContent-Length: 0\r\n\r\n")
            .ok()?,
        Behaviour::Page(text) => stream.write_all(page(text).as_bytes()).ok()?,
        Behaviour::Late(text, delay) => {
            thread::sleep(delay);
            stream.write_all(page(text).as_bytes()).ok()?;
        }
        Behaviour::Silent => return wait_for_end(&mut stream, shared),
        Behaviour::ByteByByte(pause) => {
            stream.set_nodelay(true).ok()?;
            for byte in NO_CONTENT.bytes() {
                stream.write_all(&[byte]).ok()?;
                thread::sleep(pause);
            }
        }
        Behaviour::EndlessHeader => {
            stream.write_all(b"HTTP/1.1 204 No Content\r\n").ok()?;
            while shared.runs() {
                stream.write_all(b"X-More: and more, and more, and more\r\n").ok()?;
            }
        }
        Behaviour::EndlessBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
            while shared.runs() {
                stream.write_all(b"<p>and more, and more, and more</p>\n").ok()?;
            }
        }
        Behaviour::Garbage => stream.write_all(&[0xff, 0, 0xaa, 0x55, b'\n', b'\n', 7, 7]).ok()?,
        Behaviour::Banner | Behaviour::Holds | Behaviour::Closes | Behaviour::Resets | Behaviour::Refuses => {}
    }
    Some(())
}

/// Reads until an empty line, or the end.
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
