//! millpond, the program.
fn main() {}
