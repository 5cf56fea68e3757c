//! UCI text → sections that borrow from it.
