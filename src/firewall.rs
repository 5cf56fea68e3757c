//! Connections: the firewall table that marks them by their provider, and which of them end.
//!
//! | module | job |
//! |---|---|
//! | `plan` | what the table depends on |
//! | `text` | a plan → the text of `table inet failover`, for `nft -f -` |
//! | `handover` | which connections are handed over, and when |

pub mod handover;
pub mod plan;
pub mod text;
