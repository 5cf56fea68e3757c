//! A router with two uplinks and a LAN. The Internet is behind both: the same addresses, and servers that tell which of the
//! two they are.
//!
//! ```text
//! client ── lan0 │        │ wan1 ── 1
//!                │ router │
//!   other ─ lan1 │        │ wan2 ── 2
//! ```

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use failover::firewall::plan::Plan;
use failover::routing::delegated::Delegated;

use super::lab::{Family, Namespace};
use super::plans::script;

/// An answer that takes longer is none. It takes a fraction of a millisecond, unless the machine has much else to do.
const PATIENCE: Duration = Duration::from_secs(2);
/// The port of all servers.
pub(crate) const PORT: u16 = 7000;

pub(crate) struct World {
    pub(crate) router: Namespace,
    pub(crate) client: Namespace,
    pub(crate) other: Namespace,
    pub(crate) internet: [Namespace; 2],
    stop: Arc<AtomicBool>,
    servers: Vec<JoinHandle<()>>,
}

/// An address by its family.
pub(crate) fn by(family: Family, v4: &str, v6: &str) -> IpAddr {
    let text = if family == Family::V4 { v4 } else { v6 };
    text.parse().unwrap()
}

/// The server in the Internet.
pub(crate) fn target(family: Family) -> SocketAddr {
    (by(family, "203.0.113.8", "2001:db8:53::8"), PORT).into()
}

/// The router's own address by an uplink, from 1.
pub(crate) fn own(family: Family, number: usize) -> SocketAddr {
    let (v4, v6) = (
        format!("192.0.2.{}", 64 * number + 2),
        format!("2001:db8:f{number}::2"),
    );
    (by(family, &v4, &v6), PORT).into()
}

/// The client's address; in IPv6, that of provider 1's prefix.
pub(crate) fn client(family: Family) -> SocketAddr {
    (by(family, "198.51.100.2", "2001:db8:1::2"), PORT).into()
}

impl World {
    /// Without a table. IPv4 is masqueraded by another program's table, which also forwards the port 7000 of both uplinks to
    /// the client; provider 1 leads.
    pub(crate) fn new() -> World {
        let world = World::bare();
        world.nft(
            "table ip fw {
                chain dstnat { type nat hook prerouting priority dstnat; iifname { wan1, wan2 } meta l4proto { tcp, udp } th dport 7000 dnat to 198.51.100.2; }
                chain srcnat { type nat hook postrouting priority srcnat; oifname { wan1, wan2 } masquerade; }
            }",
        );
        world
    }

    /// Without any table.
    pub(crate) fn bare() -> World {
        let mut world = World {
            router: Namespace::new("router"),
            client: Namespace::new("client"),
            other: Namespace::new("other"),
            internet: [Namespace::new("1"), Namespace::new("2")],
            stop: Arc::new(AtomicBool::new(false)),
            servers: Vec::new(),
        };
        world.link_up();
        for number in 0..2 {
            for family in Family::ALL {
                world.serve(
                    Place::Internet(number),
                    target(family),
                    b'1' + u8::try_from(number).unwrap(),
                );
            }
        }
        for family in Family::ALL {
            world.serve(Place::Client, client(family), b'c');
        }
        world
    }

    fn link_up(&self) {
        let router = &self.router;
        for host in self
            .internet
            .iter()
            .chain([router, &self.client, &self.other])
        {
            host.sysctl("ipv6/conf/default/accept_dad", 0);
        }
        ip(router, "link set lo up");
        let lan = |host: &Namespace, number: usize| {
            let (device, id) = (format!("lan{number}"), host.thread_id());
            ip(
                router,
                &format!(
                    "link add {device} type veth peer name eth0 netns {id}\nlink set {device} up"
                ),
            );
            ip(host, "link set lo up\nlink set eth0 up");
        };
        lan(&self.client, 0);
        lan(&self.other, 1);
        ip(
            router,
            "address add 198.51.100.1/25 dev lan0
             address add 2001:db8:1::1/64 dev lan0 nodad
             address add 2001:db8:2::1/64 dev lan0 nodad
             address add 2001:db8:99::1/64 dev lan0 nodad
             address add 198.51.100.129/25 dev lan1
             address add 2001:db8:98::1/64 dev lan1 nodad",
        );
        ip(
            &self.client,
            "address add 198.51.100.2/25 dev eth0
             address add 2001:db8:99::2/64 dev eth0 nodad
             address add 2001:db8:2::2/64 dev eth0 nodad
             address add 2001:db8:1::2/64 dev eth0 nodad
             route add default via 198.51.100.1
             -6 route add default via 2001:db8:1::1",
        );
        ip(
            &self.other,
            "address add 198.51.100.130/25 dev eth0
             address add 2001:db8:98::2/64 dev eth0 nodad
             route add default via 198.51.100.129
             -6 route add default via 2001:db8:98::1",
        );
        for (number, internet) in (1..).zip(&self.internet) {
            let id = internet.thread_id();
            let network = 64 * number;
            let (gateway, own) = (
                format!("192.0.2.{}", network + 1),
                format!("192.0.2.{}", network + 2),
            );
            ip(
                router,
                &format!(
                    "link add wan{number} type veth peer name eth0 netns {id}\nlink set wan{number} up"
                ),
            );
            ip(
                internet,
                &format!(
                    "link set lo up
                 link set eth0 up
                 address add {gateway}/26 dev eth0
                 address add 2001:db8:f{number}::1/64 dev eth0 nodad
                 address add 203.0.113.8/32 dev lo
                 address add 2001:db8:53::8/128 dev lo nodad
                 route add 198.51.100.0/24 via {own}
                 route replace 192.0.2.{network}/26 dev eth0 src 203.0.113.8
                 -6 route add 2001:db8:f{number}::/64 dev eth0 src 2001:db8:53::8 metric 1
                 -6 route add default via 2001:db8:f{number}::2 src 2001:db8:53::8"
                ),
            );
            let table = 100 + number;
            ip(
                router,
                &format!(
                    "address add {own}/26 dev wan{number}
                 address add 2001:db8:f{number}::2/64 dev wan{number} nodad
                 route add default via {gateway} dev wan{number} table {table}
                 -6 route add default via 2001:db8:f{number}::1 dev wan{number} table {table}"
                ),
            );
            let mark = u32::try_from(number).unwrap() << 24;
            for family in Family::ALL {
                let from = self::own(family, number).ip();
                let rules = [
                    format!(
                        "{} fwmark {:#x}/0xff000000",
                        17664 + number,
                        0x8000_0000 + mark
                    ),
                    format!("{} fwmark {mark:#x}/0xff000000", 32800 + number),
                    format!("{} iif lo from {from}", 17900 + number),
                ];
                for rule in rules {
                    router.batch(family, &format!("rule add pref {rule} lookup {table}"));
                }
            }
        }
        for family in Family::ALL {
            router.batch(
                family,
                "rule add pref 17600 lookup main suppress_prefixlength 0
                 rule add pref 33900 lookup 100",
            );
        }
        router.sysctls(&[("ipv4/ip_forward", 1), ("ipv6/conf/all/forwarding", 1)]);
        self.lead(1);
    }

    /// This provider's route becomes the one for all.
    pub(crate) fn lead(&self, number: usize) {
        ip(
            &self.router,
            &format!(
                "route replace default via 192.0.2.{} dev wan{number} table 100
             -6 route replace default via 2001:db8:f{number}::1 dev wan{number} table 100",
                64 * number + 1,
            ),
        );
    }

    /// Loads our table.
    pub(crate) fn load(&self, plan: &Plan, delegated: &Delegated) {
        self.nft(&script(plan, delegated));
    }

    /// Loads a text on the router.
    pub(crate) fn nft(&self, text: &str) {
        self.router.feed(&["nft", "-f", "-"], &format!("{text}\n"));
    }

    /// The marks of the connections to or from a port.
    pub(crate) fn marks(&self, family: Family, port: u16) -> Vec<u32> {
        let family = if family == Family::V4 { "ipv4" } else { "ipv6" };
        let all = self.router.run(&["conntrack", "-L", "-f", family]);
        let port = format!("port={port} ");
        let of_port = all.lines().filter(|line| line.contains(&port));
        let mark = |line: &str| {
            let (_, rest) = line.split_once(" mark=")?;
            rest.split(' ').next()?.parse().ok()
        };
        let mut marks: Vec<u32> = of_port.filter_map(mark).collect();
        marks.sort_unstable();
        marks
    }

    fn place(&self, place: Place) -> &Namespace {
        match place {
            Place::Internet(number) => &self.internet[number],
            Place::Client => &self.client,
            Place::Other => &self.other,
            Place::Router => &self.router,
        }
    }

    /// Starts servers at an address: to each byte they answer this byte, and the address that they were asked from.
    pub(crate) fn serve(&mut self, place: Place, at: SocketAddr, byte: u8) {
        let (udp, tcp) = self.place(place).enter(|| {
            let udp = UdpSocket::bind(at).unwrap();
            udp.set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
            let tcp = TcpListener::bind(at).unwrap();
            tcp.set_nonblocking(true).unwrap();
            (udp, tcp)
        });
        let stop = Arc::clone(&self.stop);
        self.servers.push(std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((_, from)) = udp.recv_from(&mut buffer) {
                    let _ = udp.send_to(&answer(byte, from), from);
                }
            }
        }));
        let stop = Arc::clone(&self.stop);
        self.servers.push(std::thread::spawn(move || {
            let mut streams: Vec<(TcpStream, SocketAddr)> = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                if let Ok((stream, from)) = tcp.accept() {
                    let _ = stream.set_nonblocking(true);
                    streams.push((stream, from));
                }
                streams.retain_mut(|(stream, from)| match stream.read(&mut [0]) {
                    Ok(0) => false,
                    Ok(_) => stream.write_all(&answer(byte, *from)).is_ok(),
                    Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
                });
                std::thread::sleep(Duration::from_millis(1));
            }
        }));
    }

    /// Connects by UDP.
    pub(crate) fn udp(&self, from: Place, to: SocketAddr) -> Talk {
        self.udp_from(from, None, to)
    }

    /// Connects by UDP, from this address.
    pub(crate) fn udp_from(&self, from: Place, own: Option<IpAddr>, to: SocketAddr) -> Talk {
        self.udp_with(from, own, to, |_| {})
    }

    /// Connects by UDP, after this has been done to the socket.
    pub(crate) fn udp_with(
        &self,
        from: Place,
        own: Option<IpAddr>,
        to: SocketAddr,
        prepare: impl FnOnce(&UdpSocket) + Send,
    ) -> Talk {
        let any = by(family_of(to), "0.0.0.0", "::");
        let socket = self.place(from).enter(|| {
            let socket = UdpSocket::bind((own.unwrap_or(any), 0)).unwrap();
            prepare(&socket);
            socket.connect(to).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        });
        Talk::Udp(socket)
    }

    /// Connects by TCP.
    pub(crate) fn tcp(&self, from: Place, to: SocketAddr) -> Talk {
        let stream = self
            .place(from)
            .enter(|| TcpStream::connect_timeout(&to, 4 * PATIENCE));
        let stream = stream.unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Talk::Tcp(stream)
    }

    /// One connection of each protocol.
    pub(crate) fn both(&self, from: Place, to: SocketAddr) -> [Talk; 2] {
        [self.udp(from, to), self.tcp(from, to)]
    }
}

/// Runs lines of `ip` commands; those that begin with `-6` last.
fn ip(host: &Namespace, lines: &str) {
    let six = |line: &&str| line.trim_start().starts_with("-6 ");
    let of = |wanted: bool| -> String {
        let lines = lines.lines().filter(|line| six(line) == wanted);
        let lines = lines.map(|line| line.trim_start().trim_start_matches("-6 "));
        lines.map(|line| format!("{line}\n")).collect()
    };
    host.feed(&["ip", "-batch", "-"], &of(false));
    host.batch(Family::V6, &of(true));
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for server in self.servers.drain(..) {
            let _ = server.join();
        }
    }
}

fn answer(byte: u8, from: SocketAddr) -> Vec<u8> {
    let mut answer = vec![byte, b' '];
    answer.extend(from.ip().to_string().bytes());
    answer.push(b'\n');
    answer
}

fn family_of(address: SocketAddr) -> Family {
    if address.is_ipv4() {
        Family::V4
    } else {
        Family::V6
    }
}

/// Where a server or a client is.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Internet(usize),
    Client,
    Other,
    Router,
}

/// A connection.
pub(crate) enum Talk {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

/// How a question ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// which server, and the address that it was asked from
    Answer(u8, IpAddr),
    /// nothing came
    Silence,
    /// the connection was reset
    Reset,
}

impl Talk {
    /// Asks once.
    pub(crate) fn ask(&mut self) -> End {
        let mut buffer = [0; 64];
        let read = match self {
            Talk::Udp(socket) => socket.send(b"?").and_then(|_| socket.recv(&mut buffer)),
            Talk::Tcp(stream) => stream
                .write_all(b"?")
                .and_then(|()| stream.read(&mut buffer)),
        };
        match read {
            Ok(0) => End::Reset,
            Ok(length) => {
                let text = std::str::from_utf8(&buffer[2..length]).unwrap();
                End::Answer(buffer[0], text.trim().parse().unwrap())
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => End::Silence,
            Err(_) => End::Reset,
        }
    }

    /// Which server answers.
    pub(crate) fn by(&mut self) -> Option<char> {
        match self.ask() {
            End::Answer(byte, _) => Some(byte.into()),
            _ => None,
        }
    }

    /// Its own port.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Talk::Udp(socket) => socket.local_addr().unwrap().port(),
            Talk::Tcp(stream) => stream.local_addr().unwrap().port(),
        }
    }
}
