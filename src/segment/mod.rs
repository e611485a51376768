//! Segments: written by its own slice.
