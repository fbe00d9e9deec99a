//! What must hold when things go wrong: the program is started as a newcomer would, and mistreated.

mod kill;
mod plaintext;
mod rotation;
