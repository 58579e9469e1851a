//! The scheduler as a whole: told as transcripts, and under random faults.

mod cast;
mod random;
mod transcripts;
mod world;
