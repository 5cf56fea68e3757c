//! Socket filters. They pass echo replies with a path's identifiers, ICMP errors that quote a request with one, and
//! answers of neighbours.
//!
//! All other messages on a router's uplinks (other processes' pings, neighbour discovery, errors for LAN traffic) are
//! dropped in the kernel: by type, before they are copied for the socket, and the rest by a classic BPF program.

use core::net::IpAddr;
use std::os::fd::BorrowedFd;

use heapless::Vec;
use nix::errno::Errno;
use nix::libc::{
    BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_IMM, BPF_IND, BPF_JEQ, BPF_JMP, BPF_K,
    BPF_LD, BPF_LDX, BPF_LSH, BPF_MISC, BPF_MSH, BPF_RET, BPF_TAX, BPF_W, BPF_X, ETH_P_IP,
    ETH_P_IPV6, IPPROTO_ICMPV6, c_int, sock_filter,
};

use super::super::ffi;
use crate::limits::ARRIVAL_SERVERS_MAX;
use crate::types::Family;
use crate::wire::icmp::{Types, types};

/// linux/in.h, linux/icmp.h: a set bit blocks that type.
const SOL_RAW: c_int = 255;
const ICMP_FILTER: c_int = 1;
/// linux/icmpv6.h: 256 bits, one per type, likewise.
const ICMPV6_FILTER: c_int = 1;

/// Attaches the filters for a family and two identifiers, the present and the former one, to a raw ICMP socket.
pub(crate) fn attach(
    socket: BorrowedFd,
    family: Family,
    identifiers: [u16; 2],
) -> Result<(), Errno> {
    let program: &[sock_filter] = match family {
        Family::V4 => {
            ffi::set_words(socket, SOL_RAW, ICMP_FILTER, &BLOCKED_V4)?;
            &ECHOES_V4
        }
        Family::V6 => {
            ffi::set_words(socket, IPPROTO_ICMPV6, ICMPV6_FILTER, &BLOCKED_V6)?;
            &ECHOES_V6
        }
    };
    let mut filled = Program::new();
    add(&mut filled, program, identifiers.map(u32::from));
    ffi::attach_filter(socket, &filled)
}

/// Attaches a filter to a packet socket that passes only answers of neighbours. Packets begin after the link header.
pub(crate) fn attach_neighbours(socket: BorrowedFd, family: Family) -> Result<(), Errno> {
    const ARP: [sock_filter; 4] = [
        load(BPF_H | BPF_ABS, 6), // the operation
        equal(2, 0, 1),           // a reply
        ACCEPT,
        DROP,
    ];
    const NDISC: [sock_filter; 6] = [
        load(BPF_B | BPF_ABS, 6), // the next header
        equal(58, 0, 3),          // ICMPv6
        load(BPF_B | BPF_ABS, 40),
        equal(136, 0, 1), // an advertisement
        ACCEPT,
        DROP,
    ];
    match family {
        Family::V4 => ffi::attach_filter(socket, &ARP),
        Family::V6 => ffi::attach_filter(socket, &NDISC),
    }
}

/// The server of a session, and the session's local port.
pub(crate) type Server = (IpAddr, u16);

/// The protocol number of a family's ICMP.
pub(crate) fn icmp(family: Family) -> u8 {
    types(family).protocol
}

/// Attaches a filter to a packet socket that passes, of what arrives for this machine, echo replies with one of these
/// identifiers, and packets of these servers to the ports of their sessions. Packets begin after the link header.
pub(crate) fn attach_arrivals(
    socket: BorrowedFd,
    family: Family,
    identifiers: [u16; 2],
    servers: &[Server],
) -> Result<(), Errno> {
    let (begin, of_server) = match family {
        Family::V4 => (&ARRIVALS_V4, &SERVER_V4),
        Family::V6 => (&ARRIVALS_V6, &SERVER_V6),
    };
    let mut program = Program::new();
    add(&mut program, begin, identifiers.map(u32::from));
    for &(server, port) in servers {
        let source = match server {
            IpAddr::V4(server) => server.to_bits(),
            #[allow(clippy::cast_possible_truncation)] // see `server`
            IpAddr::V6(server) => server.to_bits() as u32,
        };
        add(&mut program, of_server, [source, port.into()]);
    }
    add(&mut program, &[DROP], [0; 2]);
    ffi::attach_filter(socket, &program)
}

/// Has room for the longest program: that for arrivals.
type Program = Vec<sock_filter, { 16 + 5 * ARRIVAL_SERVERS_MAX + 1 }>;

/// These stand in the tables for two values of 16 or 32 bits. Nothing is compared with them.
const FIRST: u32 = 1 << 16;
const SECOND: u32 = FIRST + 1;

/// Adds a part of a program, with the values in the places of [`FIRST`] and [`SECOND`].
fn add(program: &mut Program, part: &[sock_filter], values: [u32; 2]) {
    program.extend(part.iter().map(|instruction| {
        let place = instruction.k.wrapping_sub(FIRST) as usize;
        let k = values.get(place).copied().unwrap_or(instruction.k);
        sock_filter { k, ..*instruction }
    }));
}

const V4: Types = types(Family::V4);
const V6: Types = types(Family::V6);

/// One bit per type, all set except those that pass.
const BLOCKED_V4: [u32; 1] = [!(1 << V4.reply | 1 << V4.unreachable)];
const BLOCKED_V6: [u32; 8] = {
    let mut blocked = [u32::MAX; 8];
    blocked[V6.reply as usize / 32] &= !(1 << (V6.reply % 32));
    blocked[V6.unreachable as usize / 32] &= !(1 << (V6.unreachable % 32));
    blocked
};

/// The packet begins with its IPv4 header; X holds that header's length.
const ECHOES_V4: [sock_filter; 20] = [
    statement(BPF_LDX | BPF_B | BPF_MSH, 0),
    load(BPF_B | BPF_IND, 0), // the type
    equal(V4.reply as u32, 12, 0),
    equal(V4.unreachable as u32, 0, 15),
    // an error: the quoted header begins at X + 8
    load(BPF_B | BPF_IND, 8 + 9), // the quoted protocol
    equal(V4.protocol as u32, 0, 13),
    load(BPF_B | BPF_IND, 8), // add the quoted header's length to X
    statement(BPF_ALU | BPF_AND | BPF_K, 0xf),
    statement(BPF_ALU | BPF_LSH | BPF_K, 2),
    statement(BPF_ALU | BPF_ADD | BPF_X, 0),
    statement(BPF_MISC | BPF_TAX, 0),
    load(BPF_B | BPF_IND, 8), // the quoted type
    equal(V4.request as u32, 0, 6),
    load(BPF_H | BPF_IND, 8 + 4), // the quoted identifier
    equal(FIRST, 3, 2),
    load(BPF_H | BPF_IND, 4), // a reply: its identifier
    equal(FIRST, 1, 0),
    equal(SECOND, 0, 1),
    ACCEPT,
    DROP,
];

/// The packet begins with its ICMPv6 header.
const ECHOES_V6: [sock_filter; 14] = [
    load(BPF_B | BPF_ABS, 0), // the type
    equal(V6.reply as u32, 7, 0),
    equal(V6.unreachable as u32, 0, 10),
    // an error: the quoted header begins at 8 and is 40 long
    load(BPF_B | BPF_ABS, 8 + 6), // the quoted next header
    equal(V6.protocol as u32, 0, 8),
    load(BPF_B | BPF_ABS, 48), // the quoted type
    equal(V6.request as u32, 0, 6),
    load(BPF_H | BPF_ABS, 48 + 4), // the quoted identifier
    equal(FIRST, 3, 2),
    load(BPF_H | BPF_ABS, 4), // a reply: its identifier
    equal(FIRST, 1, 0),
    equal(SECOND, 0, 1),
    ACCEPT,
    DROP,
];

const ARRIVALS_V4: [sock_filter; 16] =
    arrivals(&V4, ETH_P_IP, statement(BPF_LDX | BPF_B | BPF_MSH, 0), 9);
const ARRIVALS_V6: [sock_filter; 16] =
    arrivals(&V6, ETH_P_IPV6, statement(BPF_LDX | BPF_W | BPF_IMM, 40), 6);

/// Accepts echo replies; `header` sets X to the length of the IP header. What may be of a session is left to what follows.
const fn arrivals(
    types: &Types,
    ethernet: c_int,
    header: sock_filter,
    protocol_at: u32,
) -> [sock_filter; 16] {
    // linux/filter.h: SKF_AD_OFF, SKF_AD_PROTOCOL, SKF_AD_PKTTYPE; linux/if_packet.h: PACKET_HOST is 0
    const OF_PACKET: u32 = (-0x1000_i32).cast_unsigned();
    [
        load(BPF_B | BPF_ABS, OF_PACKET + 4),
        equal(0, 1, 0),
        DROP,
        load(BPF_H | BPF_ABS, OF_PACKET),
        equal(ethernet.cast_unsigned(), 1, 0),
        DROP,
        header,
        load(BPF_B | BPF_ABS, protocol_at),
        equal(types.protocol as u32, 0, 7), // else a session's
        load(BPF_B | BPF_IND, 0),
        equal(types.reply as u32, 0, 4),
        load(BPF_H | BPF_IND, 4),
        equal(FIRST, 1, 0),
        equal(SECOND, 0, 1),
        ACCEPT,
        DROP,
    ]
}

const SERVER_V4: [sock_filter; 5] = server(12);
const SERVER_V6: [sock_filter; 5] = server(20);

/// Accepts what a session's server sends to its port. Of an IPv6 source, the last 32 bits are compared.
const fn server(source_at: u32) -> [sock_filter; 5] {
    [
        load(BPF_W | BPF_ABS, source_at),
        equal(FIRST, 0, 3),
        load(BPF_H | BPF_IND, 2),
        equal(SECOND, 0, 1),
        ACCEPT,
    ]
}

pub(in crate::linux) const ACCEPT: sock_filter = statement(BPF_RET | BPF_K, u32::MAX);
pub(in crate::linux) const DROP: sock_filter = statement(BPF_RET | BPF_K, 0);

pub(in crate::linux) const fn load(size_and_mode: u32, offset: u32) -> sock_filter {
    statement(BPF_LD | size_and_mode, offset)
}

/// Skips so many instructions: `jt` when the accumulator is `k`, else `jf`.
pub(in crate::linux) const fn equal(k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        jt,
        jf,
        ..statement(BPF_JMP | BPF_JEQ | BPF_K, k)
    }
}

#[allow(clippy::cast_possible_truncation)] // the kernel's codes are 16 bits
pub(in crate::linux) const fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}
