//! The options of one section: typed values, and their problems with file and line.
//!
//! | module | job |
//! |---|---|
//! | `section` | finds a section's options, and reports those that it does not have |
//! | `slips` | likely slips, and what was meant |
//! | `table` | the table of all options: their names; in builds of the tests also values, defaults, meanings |
//! | [`value`] | the text of one value → a typed value |
//! | `described` | in builds of the tests: the table of options for LuCI's page |
//! | `problem` | errors and warnings for the user, with the nearest known name |

#[cfg(test)]
mod described;
pub(crate) mod problem;
pub(crate) mod section;
pub(crate) mod slips;
pub(crate) mod table;
pub mod value;

pub use problem::{Problem, Severity, nearest};
