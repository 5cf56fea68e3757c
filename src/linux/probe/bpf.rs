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
    let types = types(family);
    match family {
        Family::V4 => {
            ffi::set_words(socket, SOL_RAW, ICMP_FILTER, &blocked_but::<1>(&types))?;
            ffi::attach_filter(socket, &program_v4(&types, identifiers))
        }
        Family::V6 => {
            let blocked = blocked_but::<8>(&types);
            ffi::set_words(socket, IPPROTO_ICMPV6, ICMPV6_FILTER, &blocked)?;
            ffi::attach_filter(socket, &program_v6(&types, identifiers))
        }
    }
}

/// Attaches a filter to a packet socket that passes only answers of neighbours. Packets begin after the link header.
pub(crate) fn attach_neighbours(socket: BorrowedFd, family: Family) -> Result<(), Errno> {
    match family {
        Family::V4 => ffi::attach_filter(
            socket,
            &[
                load(BPF_H | BPF_ABS, 6), // the ARP operation
                equal(2_u16, 0, 1),       // a reply
                statement(BPF_RET | BPF_K, u32::MAX),
                statement(BPF_RET | BPF_K, 0),
            ],
        ),
        Family::V6 => ffi::attach_filter(
            socket,
            &[
                load(BPF_B | BPF_ABS, 6), // the next header
                equal(58_u8, 0, 3),       // ICMPv6
                load(BPF_B | BPF_ABS, 40),
                equal(136_u8, 0, 1), // an advertisement
                statement(BPF_RET | BPF_K, u32::MAX),
                statement(BPF_RET | BPF_K, 0),
            ],
        ),
    }
}

/// The server of a session, and the session's local port.
pub(crate) type Server = (IpAddr, u16);

/// The most instructions of the filter for arrivals.
const ARRIVALS_MAX: usize = 24 + 5 * ARRIVAL_SERVERS_MAX;

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
    servers: &Vec<Server, ARRIVAL_SERVERS_MAX>,
) -> Result<(), Errno> {
    const ACCEPT: u32 = u32::MAX;
    const DROP: u32 = 0;
    // linux/filter.h: SKF_AD_OFF, SKF_AD_PROTOCOL, SKF_AD_PKTTYPE; linux/if_packet.h: PACKET_HOST is 0
    const OF_PACKET: u32 = (-0x1000_i32).cast_unsigned();
    let types = types(family);
    let [present, former] = identifiers;
    // X holds the length of the IP header. Of an IPv6 source, its last 32 bits are compared.
    let (ethernet, header, protocol_at, source_at) = match family {
        Family::V4 => (ETH_P_IP, statement(BPF_LDX | BPF_B | BPF_MSH, 0), 9, 12),
        Family::V6 => (ETH_P_IPV6, statement(BPF_LDX | BPF_W | BPF_IMM, 40), 6, 20),
    };
    let mut program: Vec<sock_filter, ARRIVALS_MAX> = Vec::new();
    let begin = [
        load(BPF_B | BPF_ABS, OF_PACKET + 4),
        equal(0_u8, 1, 0),
        statement(BPF_RET | BPF_K, DROP),
        load(BPF_H | BPF_ABS, OF_PACKET),
        equal(ethernet.cast_unsigned(), 1, 0),
        statement(BPF_RET | BPF_K, DROP),
        header,
        load(BPF_B | BPF_ABS, protocol_at),
        equal(types.protocol, 0, 7), // else a session's
        load(BPF_B | BPF_IND, 0),
        equal(types.reply, 0, 4),
        load(BPF_H | BPF_IND, 4),
        equal(present, 1, 0),
        equal(former, 0, 1),
        statement(BPF_RET | BPF_K, ACCEPT),
        statement(BPF_RET | BPF_K, DROP),
        load(BPF_W | BPF_ABS, source_at),
    ];
    program.extend(begin);
    for &(server, port) in servers {
        let source = match server {
            IpAddr::V4(server) => server.to_bits(),
            #[allow(clippy::cast_possible_truncation)] // as said above
            IpAddr::V6(server) => server.to_bits() as u32,
        };
        program.extend([
            equal(source, 0, 4),
            load(BPF_H | BPF_IND, 2),
            equal(port, 0, 1),
            statement(BPF_RET | BPF_K, ACCEPT),
            load(BPF_W | BPF_ABS, source_at),
        ]);
    }
    program.extend([statement(BPF_RET | BPF_K, DROP)]);
    ffi::attach_filter(socket, &program)
}

/// One bit per type, all set except those that pass.
fn blocked_but<const WORDS: usize>(types: &Types) -> [u32; WORDS] {
    let mut blocked = [u32::MAX; WORDS];
    for kind in [types.reply, types.unreachable] {
        if let Some(word) = blocked.get_mut(usize::from(kind / 32)) {
            *word &= !(1 << (kind % 32));
        }
    }
    blocked
}

/// The packet begins with its IPv4 header; X holds that header's length.
fn program_v4(types: &Types, [present, former]: [u16; 2]) -> [sock_filter; 20] {
    [
        statement(BPF_LDX | BPF_B | BPF_MSH, 0),
        load(BPF_B | BPF_IND, 0), // the type
        equal(types.reply, 12, 0),
        equal(types.unreachable, 0, 15),
        // an error: the quoted header begins at X + 8
        load(BPF_B | BPF_IND, 8 + 9), // the quoted protocol
        equal(types.protocol, 0, 13),
        load(BPF_B | BPF_IND, 8), // add the quoted header's length to X
        statement(BPF_ALU | BPF_AND | BPF_K, 0xf),
        statement(BPF_ALU | BPF_LSH | BPF_K, 2),
        statement(BPF_ALU | BPF_ADD | BPF_X, 0),
        statement(BPF_MISC | BPF_TAX, 0),
        load(BPF_B | BPF_IND, 8), // the quoted type
        equal(types.request, 0, 6),
        load(BPF_H | BPF_IND, 8 + 4), // the quoted identifier
        equal(present, 3, 2),
        load(BPF_H | BPF_IND, 4), // a reply: its identifier
        equal(present, 1, 0),
        equal(former, 0, 1),
        statement(BPF_RET | BPF_K, u32::MAX),
        statement(BPF_RET | BPF_K, 0),
    ]
}

/// The packet begins with its ICMPv6 header.
fn program_v6(types: &Types, [present, former]: [u16; 2]) -> [sock_filter; 14] {
    [
        load(BPF_B | BPF_ABS, 0), // the type
        equal(types.reply, 7, 0),
        equal(types.unreachable, 0, 10),
        // an error: the quoted header begins at 8 and is 40 long
        load(BPF_B | BPF_ABS, 8 + 6), // the quoted next header
        equal(types.protocol, 0, 8),
        load(BPF_B | BPF_ABS, 48), // the quoted type
        equal(types.request, 0, 6),
        load(BPF_H | BPF_ABS, 48 + 4), // the quoted identifier
        equal(present, 3, 2),
        load(BPF_H | BPF_ABS, 4), // a reply: its identifier
        equal(present, 1, 0),
        equal(former, 0, 1),
        statement(BPF_RET | BPF_K, u32::MAX),
        statement(BPF_RET | BPF_K, 0),
    ]
}

fn load(size_and_mode: u32, offset: u32) -> sock_filter {
    statement(BPF_LD | size_and_mode, offset)
}

/// Skips so many instructions: `jt` when the accumulator is `k`, else `jf`.
fn equal(k: impl Into<u32>, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        jt,
        jf,
        ..statement(BPF_JMP | BPF_JEQ | BPF_K, k.into())
    }
}

#[allow(clippy::cast_possible_truncation)] // the kernel's codes are 16 bits
fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}
