//! The files of a directory, sorted by name.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Those whose path and name are wanted; none if the directory cannot be read.
pub(crate) fn files(directory: &Path, is_wanted: &dyn Fn(&Path, &[u8]) -> bool) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else {
        return files;
    };
    for entry in entries {
        let Ok(entry) = entry else {
            continue;
        };
        let file = entry.path();
        if is_wanted(&file, entry.file_name().as_bytes()) {
            // Their bytes are compared: paths as such take a kilobyte of the program.
            let behind = |other: &PathBuf| other.as_os_str() > file.as_os_str();
            let place = files.iter().position(behind).unwrap_or(files.len());
            files.insert(place, file);
        }
    }
    files
}
