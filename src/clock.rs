//! Time, in one place: placeholder until the drain needs it.
