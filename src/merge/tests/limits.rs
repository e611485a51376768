//! Limits, depths and sizes.
