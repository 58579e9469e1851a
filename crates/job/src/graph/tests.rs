//! Claims about graphs and rules.
