//! All paths, packed: the memory of a path that was never configured is never touched.

use heapless::Vec;

use super::path::Path;
use crate::limits::PATHS_MAX;
use crate::types::PathId;

/// The paths, found by [`PathId::index`]. A path is never removed, and is reused.
#[repr(C)] // the list begins at the start of the struct, which is the start of a page
pub(crate) struct Paths {
    paths: Vec<Path, PATHS_MAX>,
    /// The place in `paths` of the path with an index, plus one; 0: none.
    places: [u8; PATHS_MAX],
}

impl Paths {
    pub(crate) const fn new() -> Paths {
        Paths {
            paths: Vec::new(),
            places: [0; PATHS_MAX],
        }
    }

    pub(crate) fn get(&self, id: PathId) -> Option<&Path> {
        self.paths.get(self.place(id)?)
    }

    pub(crate) fn get_mut(&mut self, id: PathId) -> Option<&mut Path> {
        let place = self.place(id)?;
        self.paths.get_mut(place)
    }

    /// The path, new if there is none yet.
    pub(crate) fn get_or_new(&mut self, id: PathId) -> Option<&mut Path> {
        if self.place(id).is_none() && self.paths.push(Path::new(id)).is_ok() {
            #[allow(clippy::cast_possible_truncation)] // at most PATHS_MAX, 128
            let place = self.paths.len() as u8;
            self.places[id.index()] = place;
        }
        self.get_mut(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Path> {
        self.paths.iter_mut()
    }

    fn place(&self, id: PathId) -> Option<usize> {
        usize::from(*self.places.get(id.index())?).checked_sub(1)
    }
}
