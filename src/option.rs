//! The options of one section: typed values, what is wrong with them, with file and line.
//!
//! | module | job |
//! |---|---|
//! | `section` | finds a section's options, and reports those that it does not have |
//! | `slips` | what likely slips of the hand were meant to be |
//! | `table` | the one table of options: their names; in builds of the tests also values, defaults, meanings |
//! | [`value`] | the text of one value → what it means |
//! | `problem` | errors and warnings for people, with the nearest known name |

pub(crate) mod problem;
pub(crate) mod section;
pub(crate) mod slips;
pub(crate) mod table;
pub mod value;

pub use problem::{Problem, Severity, nearest};
