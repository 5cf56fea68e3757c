//! Our table of nftables, `table inet failover`: see linux/netfilter/nf_tables.h.

use nix::errno::Errno;
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_CREATE, NLMSG_ERROR};

use super::{Attributes, BODY, Netfilter, Request, SUBSYSTEM, fault_of, message, nest};
use crate::linux::errno::fault;
use crate::linux::netlink::attribute::{self, copy};
use crate::linux::netlink::exchange::verdict;
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

pub(super) const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_USERDATA: u16 = 6;
const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
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
const SET: &[u8] = b"moved\0";

impl Netfilter {
    /// Adds a device to the set `moved` for this long. If it is there already, its time begins anew.
    ///
    /// # Errors
    /// There is no such table or set (ENOENT), [`Fault::NotSupported`], or another error of the kernel's.
    pub fn add_moved(&mut self, device: &str, timeout: Duration) -> Result<(), Fault> {
        let mut batch = Request::new();
        let done = moved(&mut batch, device, timeout).ok_or(Errno::EINVAL);
        done.and_then(|()| self.acknowledged(&mut batch))
            .map_err(fault)
    }

    /// Deletes the table. That there is none is success.
    ///
    /// # Errors
    /// [`Fault::NotSupported`], or another error of the kernel's.
    pub fn delete_table(&mut self) -> Result<(), Fault> {
        let mut batch = Request::new();
        let done = deletion(&mut batch).ok_or(Errno::EMSGSIZE);
        match done.and_then(|()| self.acknowledged(&mut batch)) {
            Err(Errno::ENOENT) => Ok(()),
            done => done.map_err(fault),
        }
    }

    /// The digest in the table's comment, `failover XXXXXXXX`. None: there is no table, or it has another comment.
    ///
    /// # Errors
    /// [`Fault::NotSupported`]: the kernel has no nf_tables. Otherwise the kernel's error.
    pub fn table_digest(&mut self) -> Result<Option<u32>, Fault> {
        let mut request = Request::new();
        let mut name = Attributes::new();
        // There is room.
        let _ = copy(&mut name, NFTA_TABLE_NAME, TABLE);
        let _ = message(&mut request, NFT_MSG_GETTABLE, 0, INET, &name);
        let mut digest = None;
        let answer = self.exchange.send(
            &mut request,
            &mut |message, _| match message.message_type() {
                NLMSG_ERROR => Some(verdict(message)),
                NFT_MSG_NEWTABLE => {
                    digest = digest_of(message.payload());
                    Some(Ok(()))
                }
                _ => None,
            },
        );
        match answer {
            Ok(_) | Err(Errno::ENOENT) => Ok(digest),
            Err(errno) => Err(fault_of(errno)),
        }
    }
}

/// An element is added, deleted and added again, in one transaction: only new kernels (6.12) renew the timeout of one that is
/// there, and older ones refuse to delete one that is not.
fn moved(batch: &mut Request, device: &str, timeout: Duration) -> Option<()> {
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
    let mut attributes = Attributes::new();
    copy(&mut attributes, NFTA_SET_ELEM_LIST_TABLE, TABLE)?;
    copy(&mut attributes, NFTA_SET_ELEM_LIST_SET, SET)?;
    nest(&mut attributes, NFTA_SET_ELEM_LIST_ELEMENTS, &list)?;
    message(batch, NFNL_MSG_BATCH_BEGIN, 0, BATCH, &[])?;
    message(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, INET, &attributes)?;
    message(batch, NFT_MSG_DELSETELEM, 0, INET, &attributes)?;
    message(
        batch,
        NFT_MSG_NEWSETELEM,
        NLM_F_CREATE | NLM_F_ACK,
        INET,
        &attributes,
    )?;
    message(batch, NFNL_MSG_BATCH_END, 0, BATCH, &[])
}

fn deletion(batch: &mut Request) -> Option<()> {
    let mut name = Attributes::new();
    copy(&mut name, NFTA_TABLE_NAME, TABLE)?;
    message(batch, NFNL_MSG_BATCH_BEGIN, 0, BATCH, &[])?;
    message(batch, NFT_MSG_DELTABLE, NLM_F_ACK, INET, &name)?;
    message(batch, NFNL_MSG_BATCH_END, 0, BATCH, &[])
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
