//! Connections that a helper of connection tracking expects: active FTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use failover::firewall::plan::Plan;
use failover::routing::delegated::Delegated;

use super::lab::{Family, Namespace};
use super::plans::two;
use super::world::{World, client, own, target};

const PATIENCE: Duration = Duration::from_secs(3);

/// A router with this table, and a helper for FTP, whose server may also be in the LAN.
fn world(plan: &Plan) -> World {
    let world = World::new();
    world.nft(
        "table ip helpers {
            ct helper ftp { type \"ftp\" protocol tcp; }
            chain dstnat { type nat hook prerouting priority dstnat; iifname { wan1, wan2 } tcp dport 21 dnat to 198.51.100.2; }
            chain help { type filter hook prerouting priority filter; tcp dport 21 ct helper set \"ftp\"; }
        }",
    );
    world.load(plan, &Delegated::new());
    world
}

/// A control connection: the ends of client and server.
fn control(at: (&Namespace, IpAddr), from: &Namespace, to: IpAddr) -> (TcpStream, TcpStream) {
    let listener = at.0.enter(|| TcpListener::bind((at.1, 21)).unwrap());
    let to = SocketAddr::from((to, 21));
    let client = from.enter(|| TcpStream::connect_timeout(&to, PATIENCE).unwrap());
    let (server, _) = listener.accept().unwrap();
    for end in [&client, &server] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    (client, server)
}

/// The client asks for data at this address; the server connects to the one that it is told, and both say something.
fn data(
    (mut client, server): (&TcpStream, &TcpStream),
    at: (&Namespace, Ipv4Addr),
    from: &Namespace,
) -> std::io::Result<()> {
    let listener = at.0.enter(|| TcpListener::bind((at.1, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    let ([a, b, c, d], [high, low]) = (at.1.octets(), port.to_be_bytes());
    // The helper wants it in one piece.
    let asked = format!("PORT {a},{b},{c},{d},{high},{low}\r\n");
    client.write_all(asked.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(server).read_line(&mut line).unwrap();
    let numbers = line.trim_start_matches("PORT ").trim().split(',');
    let numbers: Vec<u8> = numbers.map(|number| number.parse().unwrap()).collect();
    let [a, b, c, d, high, low] = numbers[..] else {
        panic!("{line}");
    };
    let to = SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low])));
    let mut sender = from.enter(|| TcpStream::connect_timeout(&to, PATIENCE))?;
    let (mut receiver, _) = listener.accept()?;
    for (one, other) in [(0, 1), (1, 0)] {
        let ends = [&mut sender, &mut receiver];
        ends[one].write_all(b"x")?;
        ends[other].set_read_timeout(Some(PATIENCE))?;
        ends[other].read_exact(&mut [0])?;
    }
    Ok(())
}

/// The server in the Internet opens the connection for data: it belongs to the line of the one that asked for it.
fn of_the_lan(plan: &Plan) {
    let world = world(plan);
    let (server, user) = (&world.internet[0], &world.client);
    let IpAddr::V4(at_home) = client(Family::V4).ip() else {
        panic!();
    };
    let to = target(Family::V4).ip();
    let (asks, hears) = control((server, to), user, to);
    for leader in [1, 2] {
        world.lead(leader);
        let got = data((&asks, &hears), (user, at_home), server);
        assert!(got.is_ok(), "{leader} leads: {got:?}");
    }
}

/// A server in the LAN opens it, to a stranger that came by a line that does not lead.
fn of_a_stranger(plan: &Plan) {
    let world = world(plan);
    let (server, user) = (&world.client, &world.internet[1]);
    let IpAddr::V4(abroad) = target(Family::V4).ip() else {
        panic!();
    };
    let at_home = client(Family::V4).ip();
    let (asks, hears) = control((server, at_home), user, own(Family::V4, 2).ip());
    for leader in [2, 1] {
        world.lead(leader);
        let got = data((&asks, &hears), (user, abroad), server);
        assert!(got.is_ok(), "{leader} leads: {got:?}");
    }
}

#[test]
fn what_the_lan_expects_stays_with_its_line() {
    of_the_lan(&two());
}

#[test]
fn what_a_stranger_expects_stays_with_its_line() {
    of_a_stranger(&two());
}

/// One of the lines checks sources strictly, marks included.
#[test]
fn beside_a_strict_line_too() {
    for strict in [0, 1] {
        let mut plan = two();
        plan.members[strict].strict = true;
        of_the_lan(&plan);
        of_a_stranger(&plan);
    }
}
