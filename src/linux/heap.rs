//! The heap of a program for routers: the functions that the C library and std call, in place of zig's.
//!
//! The daemon allocates some 20 kB when it starts, most of it for two buffers, and nothing afterwards. zig's allocator has
//! pages of its own for each of its sizes, which are powers of two, and code for many threads. Here, blocks stand one behind
//! the other, and a freed one serves again for one of about its size. Blocks are neither divided nor joined, and no memory is
//! returned to the kernel.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::{NonNull, null_mut};

use nix::libc;

/// The length of a header. A block is as long as several of them, and begins at a multiple of this.
const HEADER: usize = size_of::<Header>();
/// The bytes that are there from the beginning, among the other static data.
const FIRST: usize = 32 * 1024;
/// The fewest bytes that the kernel is asked for.
const MORE: usize = 64 * 1024;

/// What stands before the memory that a caller gets.
#[repr(C, align(8))]
struct Header {
    /// the length of the block, with this
    length: usize,
    /// of a freed block, the next one in the list; else, where the block begins
    link: Option<NonNull<Header>>,
}

/// The freed blocks, and what no block was made of yet.
struct Blocks {
    freed: Option<NonNull<Header>>,
    room: *mut u8,
    left: usize,
}

/// The first room.
#[repr(align(16))]
struct Room(UnsafeCell<[MaybeUninit<u8>; FIRST]>);

// SAFETY: its bytes are accessed only through the pointer that one `Blocks` has.
unsafe impl Sync for Room {}

// SAFETY: the memory that the pointers lead to belongs to no thread.
unsafe impl Send for Blocks {}

impl Blocks {
    const fn new(room: &'static Room) -> Blocks {
        Blocks {
            freed: None,
            room: room.0.get().cast(),
            left: FIRST,
        }
    }

    /// Memory for so many bytes at a multiple of `align`, a power of two; null if there is none.
    fn take(&mut self, bytes: usize, align: usize) -> *mut u8 {
        // Blocks begin at a multiple of HEADER: a larger one is at most that much further.
        let spare = align.saturating_sub(HEADER);
        let length = bytes.checked_add(spare + 2 * HEADER - 1);
        let Some(block) = length.and_then(|length| self.block(length / HEADER * HEADER)) else {
            return null_mut();
        };
        // SAFETY: the block has room for a header, for `spare`, and for `bytes` behind them. It is in no list.
        unsafe {
            let begin = block.as_ptr();
            let length = (*begin).length;
            let mut memory = begin.cast::<u8>().add(HEADER);
            memory = memory.add(memory.addr().wrapping_neg() & (align - 1));
            let header = memory.sub(HEADER).cast::<Header>();
            header.write(Header {
                length,
                link: Some(block),
            });
            memory
        }
    }

    /// A block of this length or a little more, with its length in its header.
    fn block(&mut self, length: usize) -> Option<NonNull<Header>> {
        let mut place = &raw mut self.freed;
        // SAFETY: the list has freed blocks only, which nothing else refers to.
        unsafe {
            while let Some(block) = *place {
                let header = block.as_ptr();
                if (*header).length >= length && (*header).length / 2 <= length {
                    *place = (*header).link;
                    return Some(block);
                }
                place = &raw mut (*header).link;
            }
        }
        if self.left < length {
            self.extend(length.max(MORE))?;
        }
        let block = NonNull::new(self.room.cast::<Header>())?;
        self.left -= length;
        // SAFETY: the room has so many bytes, of which nothing else was made.
        unsafe {
            self.room = self.room.add(length);
            block.write(Header { length, link: None });
        }
        Some(block)
    }

    /// Gets other room of the kernel; what is left of the last one stays unused.
    fn extend(&mut self, length: usize) -> Option<()> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: this maps new memory where there is none.
        let room = unsafe { libc::mmap(null_mut(), length, access, kind, -1, 0) };
        if room == libc::MAP_FAILED {
            return None;
        }
        (self.room, self.left) = (room.cast(), length);
        Some(())
    }

    /// Memory that was taken is not used any more.
    ///
    /// # Safety
    /// It is from `take`, and is given once.
    unsafe fn give(&mut self, memory: *mut u8) {
        // SAFETY: there is a header before it, whose link leads to the block's begin.
        unsafe {
            let Header { length, link } = memory.sub(HEADER).cast::<Header>().read();
            if let Some(block) = link {
                let link = self.freed;
                block.write(Header { length, link });
                self.freed = Some(block);
            }
        }
    }
}

/// How many bytes there are, at least those that were asked for.
///
/// # Safety
/// The memory is from `take`, and was not given back.
unsafe fn room_of(memory: *mut u8) -> usize {
    // SAFETY: there is a header before it, whose link leads to the block's begin.
    let Header { length, link } = unsafe { memory.sub(HEADER).cast::<Header>().read() };
    let begin = link.map_or(0, |block| block.addr().get());
    length - (memory.addr() - begin)
}

/// The functions of the C library, as malloc(3) and posix_memalign(3) describe them. zig's are weak symbols: these take
/// their place.
#[cfg(all(target_env = "musl", not(test)))]
mod functions {
    use std::ffi::{c_int, c_void};
    use std::ptr::null_mut;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use nix::libc;

    use super::{Blocks, FIRST, HEADER, MaybeUninit, Room, UnsafeCell, room_of};

    static ROOM: Room = Room(UnsafeCell::new([MaybeUninit::uninit(); FIRST]));
    static BLOCKS: Mutex<Blocks> = Mutex::new(Blocks::new(&ROOM));

    fn blocks() -> MutexGuard<'static, Blocks> {
        BLOCKS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[unsafe(no_mangle)]
    extern "C" fn malloc(bytes: usize) -> *mut c_void {
        blocks().take(bytes, HEADER).cast()
    }

    #[unsafe(no_mangle)]
    extern "C" fn calloc(count: usize, bytes: usize) -> *mut c_void {
        let Some(bytes) = count.checked_mul(bytes) else {
            return null_mut();
        };
        let memory = blocks().take(bytes, HEADER);
        if !memory.is_null() {
            // SAFETY: it has so many bytes. (This is not `malloc` and then a loop, which the compiler would make a `calloc`.)
            unsafe { memory.write_bytes(0, bytes) };
        }
        memory.cast()
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(memory: *mut c_void, bytes: usize) -> *mut c_void {
        let mut blocks = blocks();
        // SAFETY: the caller's memory is from here, and he does not use it afterwards; two blocks do not overlap.
        unsafe {
            let room = match memory.is_null() {
                true => 0,
                false => room_of(memory.cast()),
            };
            if bytes <= room && !memory.is_null() {
                return memory;
            }
            let larger = blocks.take(bytes, HEADER);
            if !larger.is_null() && !memory.is_null() {
                larger.copy_from_nonoverlapping(memory.cast(), room);
                blocks.give(memory.cast());
            }
            larger.cast()
        }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(memory: *mut c_void) {
        if !memory.is_null() {
            // SAFETY: the caller's memory is from here, and he does not use it any more.
            unsafe { blocks().give(memory.cast()) };
        }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn posix_memalign(
        memory: *mut *mut c_void,
        align: usize,
        bytes: usize,
    ) -> c_int {
        let taken = blocks().take(bytes, align.max(HEADER));
        if taken.is_null() {
            return libc::ENOMEM;
        }
        // SAFETY: the caller has room for a pointer there.
        unsafe { memory.write(taken.cast()) };
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> Blocks {
        let room = Room(UnsafeCell::new([MaybeUninit::uninit(); FIRST]));
        Blocks::new(Box::leak(Box::new(room)))
    }

    /// Memory that was taken: where, how much, and the byte that fills it.
    struct Taken(*mut u8, usize, u8);

    impl Taken {
        fn new(blocks: &mut Blocks, bytes: usize, align: usize, fill: u8) -> Taken {
            let memory = blocks.take(bytes, align);
            assert!(!memory.is_null());
            assert_eq!(memory.addr() % align, 0);
            // SAFETY: it was taken, and is not given before the end of this test.
            assert!(unsafe { room_of(memory) } >= bytes);
            // SAFETY: as above.
            unsafe { memory.write_bytes(fill, bytes) };
            Taken(memory, bytes, fill)
        }

        fn give(self, blocks: &mut Blocks) {
            let Taken(memory, bytes, fill) = self;
            // SAFETY: it has so many bytes, all written.
            let all = unsafe { std::slice::from_raw_parts(memory, bytes) };
            assert!(all.iter().all(|byte| *byte == fill), "others wrote to it");
            // SAFETY: it was taken, and is not used any more.
            unsafe { blocks.give(memory) };
        }
    }

    #[test]
    fn what_is_taken_belongs_to_its_taker_alone() {
        let mut blocks = blocks();
        let mut held: Vec<Taken> = Vec::new();
        let mut random = 1_u32;
        for turn in 0..20_000_u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = (random >> 8) as usize;
            if held.len() < 60 && !number.is_multiple_of(5) {
                let bytes = number % (1 << (turn % 14));
                let align = [HEADER, HEADER, HEADER, 64, 4096][number % 5];
                held.push(Taken::new(&mut blocks, bytes, align, turn.to_le_bytes()[0]));
            } else if !held.is_empty() {
                held.swap_remove(number % held.len()).give(&mut blocks);
            }
        }
        held.drain(..).for_each(|taken| taken.give(&mut blocks));
    }

    #[test]
    fn a_freed_block_serves_again_for_one_of_about_its_size() {
        let mut blocks = blocks();
        let first = Taken::new(&mut blocks, 1000, HEADER, 1);
        let place = first.0;
        let _between = Taken::new(&mut blocks, 1000, HEADER, 2);
        first.give(&mut blocks);
        let left = blocks.left;
        for bytes in [1000, 990, 500] {
            let again = Taken::new(&mut blocks, bytes, HEADER, 3);
            assert_eq!(again.0, place, "{bytes} bytes");
            again.give(&mut blocks);
        }
        assert_eq!(blocks.left, left);
        for bytes in [400, 1100] {
            let other = Taken::new(&mut blocks, bytes, HEADER, 4);
            assert_ne!(other.0, place, "{bytes} bytes");
        }
    }

    #[test]
    fn the_kernel_is_asked_for_what_the_room_does_not_have() {
        let mut blocks = blocks();
        let first = Taken::new(&mut blocks, FIRST - 2 * HEADER, HEADER, 1);
        let more = Taken::new(&mut blocks, 10, HEADER, 2);
        assert_eq!(
            blocks.left,
            MORE - 10_usize.next_multiple_of(HEADER) - HEADER
        );
        let large = Taken::new(&mut blocks, 1 << 20, HEADER, 3);
        assert_eq!(blocks.left, 0);
        for taken in [first, more, large] {
            taken.give(&mut blocks);
        }
        assert!(blocks.take(usize::MAX, HEADER).is_null());
        assert!(blocks.take(usize::MAX / 2, HEADER).is_null());
    }
}
