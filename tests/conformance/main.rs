//! The rules of refreshing as data: cases, run through every face.
