//! What the servers' own limits do to a run.
