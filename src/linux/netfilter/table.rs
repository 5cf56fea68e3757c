//! Our table of nftables, `table inet failover`: see linux/netfilter/nf_tables.h.

use nix::errno::Errno;
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_CREATE};

use super::{Attributes, BODY, Netfilter, SUBSYSTEM, fault_of, nest};
use crate::linux::errno::fault;
use crate::linux::netlink::attribute::{self, Request, copy};
use crate::types::{Duration, Fault};

pub(super) const NFTABLES: u16 = 10 * SUBSYSTEM;
const NFT_MSG_NEWTABLE: u16 = NFTABLES;
const NFT_MSG_GETTABLE: u16 = NFTABLES + 1;
pub(super) const NFT_MSG_DELTABLE: u16 = NFTABLES + 2;
const NFT_MSG_NEWSETELEM: u16 = NFTABLES + 12;
const NFT_MSG_DELSETELEM: u16 = NFTABLES + 14;
// linux/netfilter/nfnetlink.h
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
/// `struct nfgenmsg` of a batch: its resource is the subsystem.
const BATCH: [u8; BODY] = [0, 0, 0, 10];
/// That of the others: `NFPROTO_INET`.
pub(super) const INET: [u8; BODY] = [1, 0, 0, 0];

/// Also NFTA_SET_ELEM_LIST_TABLE.
pub(super) const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_USERDATA: u16 = 6;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_TIMEOUT: u16 = 4;
const NFTA_DATA_VALUE: u16 = 1;
/// `NFTNL_UDATA_TABLE_COMMENT`: what `nft` stores there (libnftnl/udata.h).
const COMMENT: u8 = 0;
/// The length of a device's name in a set (IFNAMSIZ).
const NAME: usize = 16;

/// The table's name, as the kernel has it.
pub(super) const TABLE: &[u8] = b"failover\0";
/// A set of devices in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceSet {
    /// by these, connections that were handed over go on
    Moved,
    /// by these they came before
    Left,
    /// the same, for as long as datagrams may still arrive that were sent before
    Leaving,
}

impl DeviceSet {
    fn name(self) -> &'static [u8] {
        match self {
            DeviceSet::Moved => b"moved\0",
            DeviceSet::Left => b"left\0",
            DeviceSet::Leaving => b"leaving\0",
        }
    }
}

impl Netfilter {
    /// Adds a device to a set for this long. If it is there already, its time begins anew.
    ///
    /// # Errors
    /// There is no such table or set (ENOENT), [`Fault::NotSupported`], or another error of the kernel's.
    pub fn add_device(
        &mut self,
        set: DeviceSet,
        device: &str,
        timeout: Duration,
    ) -> Result<(), Fault> {
        let element = element(set.name(), device, timeout).ok_or(Fault::InvalidArgument)?;
        // Added, deleted and added again, in one transaction: only new kernels (6.12) renew the timeout of an element that
        // is there, and older ones refuse to delete one that is not.
        let kinds = [NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM, NFT_MSG_NEWSETELEM];
        self.transact(&kinds, &element).map_err(fault)
    }

    /// Deletes the table. That there is none is success.
    ///
    /// # Errors
    /// [`Fault::NotSupported`], or another error of the kernel's.
    pub fn delete_table(&mut self) -> Result<(), Fault> {
        match self.transact(&[NFT_MSG_DELTABLE], &table_name()) {
            Err(Errno::ENOENT) => Ok(()),
            done => done.map_err(fault),
        }
    }

    /// Makes changes with the same attributes, in one transaction.
    fn transact(&mut self, kinds: &[u16], attributes: &[u8]) -> Result<(), Errno> {
        let mut batch = Request::new(NFNL_MSG_BATCH_BEGIN, 0, &BATCH);
        for (left, kind) in (0..kinds.len()).rev().zip(kinds) {
            let flags = if left == 0 { NLM_F_ACK } else { 0 };
            batch.begin(*kind, NLM_F_CREATE | flags, &INET);
            batch.add(attributes);
        }
        batch.begin(NFNL_MSG_BATCH_END, 0, &BATCH);
        self.acknowledged(&mut batch)
    }

    /// The digest in the table's comment, `failover XXXXXXXX`. None: there is no table, or it has another comment.
    ///
    /// # Errors
    /// [`Fault::NotSupported`]: the kernel has no nf_tables. Otherwise the kernel's error.
    pub fn table_digest(&mut self) -> Result<Option<u32>, Fault> {
        let mut request = Request::new(NFT_MSG_GETTABLE, 0, &INET);
        request.attribute(NFTA_TABLE_NAME, TABLE);
        let mut digest = None;
        let answer = self.exchange.send(&mut request, &mut |message, _| {
            let is_table = message.message_type() == NFT_MSG_NEWTABLE;
            if is_table {
                digest = digest_of(message.payload());
            }
            is_table
        });
        match answer {
            Ok(_) | Err(Errno::ENOENT) => Ok(digest),
            Err(errno) => Err(fault_of(errno)),
        }
    }
}

/// The table's name, as an attribute.
fn table_name() -> Attributes {
    let mut name = Attributes::new();
    let _ = copy(&mut name, NFTA_TABLE_NAME, TABLE); // there is room
    name
}

/// The attributes of an element of a set. None: the name is too long.
fn element(set: &[u8], device: &str, timeout: Duration) -> Option<Attributes> {
    let mut name = [0; NAME];
    // The last byte stays 0.
    name[..NAME - 1]
        .get_mut(..device.len())?
        .copy_from_slice(device.as_bytes());
    let mut key = Attributes::new();
    copy(&mut key, NFTA_DATA_VALUE, &name)?;
    let mut element = Attributes::new();
    nest(&mut element, NFTA_SET_ELEM_KEY, &key)?;
    copy(
        &mut element,
        NFTA_SET_ELEM_TIMEOUT,
        &timeout.total_millis().to_be_bytes(),
    )?;
    let mut list = Attributes::new();
    nest(&mut list, NFTA_LIST_ELEM, &element)?;
    let mut attributes = table_name();
    copy(&mut attributes, NFTA_SET_ELEM_LIST_SET, set)?;
    nest(&mut attributes, NFTA_SET_ELEM_LIST_ELEMENTS, &list)?;
    Some(attributes)
}

/// Reads the digest in a table's comment.
fn digest_of(payload: &[u8]) -> Option<u32> {
    for attribute in attribute::Each(payload.get(BODY..)?) {
        let (kind, value) = attribute?;
        if kind == NFTA_TABLE_USERDATA {
            let digits = comment(value)?
                .strip_prefix(b"failover ")?
                .strip_suffix(b"\0")?;
            return u32::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok();
        }
    }
    None
}

/// The comment in a table's user data, which is a list of a type, a length and a value each.
fn comment(mut data: &[u8]) -> Option<&[u8]> {
    loop {
        let (&[kind, length], rest) = data.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(length.into())?;
        if kind == COMMENT {
            return Some(value);
        }
        data = rest;
    }
}
