//! What happened: the events of the trail, their chain, and how they are shown.
//!
//! <https://profiles.ihe.net/ITI/BALP/>

pub mod event;
