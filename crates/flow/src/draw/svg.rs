//! x
use super::Options; use crate::event::Log;
/// x
pub fn svg(_l:&Log,_o:&Options)->String{String::new()}
