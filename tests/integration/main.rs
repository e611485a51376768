//! placeholder
mod rig;
mod accepted;
mod reads;
mod order;
