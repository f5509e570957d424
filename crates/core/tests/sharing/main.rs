//! One session for many, step by step and with hundreds of participants in virtual time.

mod errands;
mod fleet;
mod properties;
