//! The exit codes of the programs; each has one meaning in all of them. After an interruption the code is that of the
//! signal, [`StopSignal::exit_code`](crate::StopSignal::exit_code).

/// Something failed that the command does not decide: a connection, a disk, another program. The same command may succeed
/// later.
pub const FAILED: u8 = 1;

/// The arguments, the data or a rule do not allow what is asked for, or it needs a decision. The same command is refused
/// until one of them changes. Programs also end with this code for arguments that they do not know.
pub const REFUSED: u8 = 2;
