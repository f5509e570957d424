//! The whole keyring with its stores, in virtual time, in seeded worlds.
