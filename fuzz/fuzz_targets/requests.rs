//! See the module of the same name.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| rolekeeper_fuzz::requests::run(input));
