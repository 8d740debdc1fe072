//! Getting the inputs: through the ordinary clients of this machine where it has them, else from
//! the permanent address. Whatever comes is checked against its pin before it is unpacked.

pub mod crates;
pub mod debian;
pub(crate) mod http;
pub mod rust;
pub mod update;
