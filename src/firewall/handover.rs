//! Which connections are handed over to another provider, and when.
