//! Files and directories.
//!
//! | module | job |
//! |---|---|
//! | [`config_file`] | the configuration file |
//! | `durable` | small files that outlive a power failure |
//! | [`sticky`] | the file that holds the pin |
//! | [`path_watch`] | detects that the file at a path may have changed |
//! | [`state_dir`] | the state directory: creation, safety, deletion |
//! | [`lock`] | one daemon per state directory |
//! | [`saved_state`] | the saved state's file |
//! | [`table_names`] | names of routing tables and groups |
//! | [`open`] | opens and makes them |
//! | [`lines`] | small text files, line by line |
//! | `listing` | the files of a directory |
//! | [`error`] | a failed file operation, its cause, and the advice |

pub mod config_file;
pub(crate) mod durable;
pub mod error;
pub mod lines;
pub(crate) mod listing;
pub mod lock;
pub mod open;
pub mod path_watch;
pub mod saved_state;
pub mod state_dir;
pub mod sticky;
pub mod table_names;
