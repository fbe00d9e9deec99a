//! What must hold when things go wrong: the program is started as a newcomer would, and mistreated.

mod backup;
mod kill;
mod plaintext;
mod rotation;
