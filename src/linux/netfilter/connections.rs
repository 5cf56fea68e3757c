//! Entries of connection tracking (`ctnetlink`): deletion by mark, counts. See linux/netfilter/nfnetlink_conntrack.h.

use core::net::IpAddr;
use std::os::fd::AsFd;

use heapless::String;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::{Mode, stat};
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_DUMP};

use super::{Attributes, BODY, Netfilter, SUBSYSTEM, address_family, fault_of};
use crate::limits::{COUNT_PATIENCE, DATAGRAM_MAX};
use crate::linux::errno::{errno_of, fault};
use crate::linux::file::open::{open, read_text, write_all};
use crate::linux::netlink::attribute::{self, Request, copy};
use crate::linux::netlink::exchange::Exchange;
use crate::text::text;
use crate::types::{Family, Fault};

const CTNETLINK: u16 = SUBSYSTEM;
const IPCTNL_MSG_CT_NEW: u16 = CTNETLINK;
const IPCTNL_MSG_CT_GET: u16 = CTNETLINK + 1;
const IPCTNL_MSG_CT_DELETE: u16 = CTNETLINK + 2;
const IPCTNL_MSG_CT_GET_STATS: u16 = CTNETLINK + 5;
const CTA_STATUS: u16 = 3;
const CTA_MARK: u16 = 8;
const CTA_MARK_MASK: u16 = 21;
const CTA_STATUS_MASK: u16 = 26;
/// `IPS_SRC_NAT`: the source is translated (linux/netfilter/nf_conntrack_common.h).
const SOURCE_TRANSLATED: u32 = 1 << 4;
/// With 0, a request to delete would be for both families (ctnetlink_del_conntrack).
const VERSION: u8 = 1;

const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const OFFLOAD_RULES: &str = "/sys/module/nft_flow_offload/refcnt";
const ENTRIES: &str = "/proc/net/nf_conntrack";

impl Netfilter {
    /// Deletes the entries of a family whose mark is `mark` in the bits of `mask`; with `only_translated`, only those whose
    /// source is translated. They are gone when this returns. That there is none is success.
    ///
    /// # Errors
    /// [`Fault::NotSupported`]: the kernel has no ctnetlink (`kmod-nf-conntrack-netlink`). Otherwise the kernel's error.
    pub fn delete_by_mark(
        &mut self,
        family: Family,
        mark: u32,
        mask: u32,
        only_translated: bool,
    ) -> Result<(), Fault> {
        let mut attributes = Attributes::new();
        let status = SOURCE_TRANSLATED;
        let all = [
            (CTA_MARK, mark),
            (CTA_MARK_MASK, mask),
            (CTA_STATUS, status),
            (CTA_STATUS_MASK, status),
        ];
        for (kind, value) in all.iter().take(if only_translated { 4 } else { 2 }) {
            let _ = copy(&mut attributes, *kind, &value.to_be_bytes()); // there is room
        }
        let body = [address_family(family), VERSION, 0, 0];
        let done = self.ask(IPCTNL_MSG_CT_DELETE, body, &attributes);
        done.map_err(fault_of)
    }

    /// Whether the kernel has ctnetlink. Its module is loaded if need be.
    pub fn has_ctnetlink(&mut self) -> bool {
        self.ask(IPCTNL_MSG_CT_GET_STATS, [0; BODY], &[]).is_ok()
    }

    fn ask(&mut self, kind: u16, body: [u8; BODY], attributes: &[u8]) -> Result<(), Errno> {
        let mut request = Request::new(kind, NLM_F_ACK, &body);
        request.add(attributes);
        self.acknowledged(&mut request)
    }
}

/// The number of entries. None: the kernel has no connection tracking.
pub fn count() -> Option<u32> {
    read_text(COUNT, &mut [0; 16])?.parse().ok()
}

/// Whether rules of nftables offload flows: [`count`] holds these for a second after their deletion.
pub fn offloads() -> bool {
    // How many rules use it. Where it is built into the kernel, that is not told.
    let rules = read_text(OFFLOAD_RULES, &mut [0; 16]).and_then(|text| text.parse().ok());
    rules.unwrap_or(0_u32) > 0
}

/// Calls `each` with the family and the masked mark of every entry whose mark has a bit of the mask. This reads all entries:
/// it may take some seconds for 100,000 of them on a small router.
///
/// # Errors
/// [`Fault::NotSupported`]: the kernel has no ctnetlink. Otherwise the kernel's error, or [`Fault::TimedOut`].
pub fn count_by_mark(mask: u32, each: &mut dyn FnMut(Family, u32)) -> Result<(), Fault> {
    // Family 0: both.
    let mut request = Request::new(IPCTNL_MSG_CT_GET, NLM_F_DUMP, &[0; BODY]);
    let mut exchange = Exchange::new(libc::NETLINK_NETFILTER, DATAGRAM_MAX, COUNT_PATIENCE);
    let end = exchange.send(&mut request, &mut |message, _| {
        if message.message_type() == IPCTNL_MSG_CT_NEW
            && let Some((family, mark)) = marked(message.payload())
            && mark & mask != 0
        {
            each(family, mark & mask);
        }
        false
    });
    end.map(drop).map_err(fault_of)
}

/// The family and the mark of an entry that has one.
fn marked(payload: &[u8]) -> Option<(Family, u32)> {
    let family = *payload.first()?;
    let mut families = Family::ALL.iter();
    let family = *families.find(|known| address_family(**known) == family)?;
    for attribute in attribute::Each(payload.get(BODY..)?) {
        let (kind, value) = attribute?;
        if kind == CTA_MARK {
            return Some((family, u32::from_be_bytes(value.try_into().ok()?)));
        }
    }
    None
}

/// Whether [`delete_by_address`] works: OpenWrt's kernels have it, others do not.
pub fn deletes_by_address() -> bool {
    stat(ENTRIES)
        .is_ok_and(|status| Mode::from_bits_truncate(status.st_mode).contains(Mode::S_IWUSR))
}

/// Deletes all entries that have this address anywhere, by a patch of OpenWrt's kernels. Where ctnetlink is, use
/// [`Netfilter::delete_by_mark`].
///
/// # Errors
/// There is no such file, or it cannot be written.
pub fn delete_by_address(address: IpAddr) -> Result<(), Fault> {
    let address: String<40> = text(format_args!("{address}\n"));
    let entries = open(ENTRIES, OFlag::O_WRONLY, 0).map_err(|error| fault(errno_of(&error)))?;
    write_all(entries.as_fd(), address.as_bytes()).map_err(fault)
}
