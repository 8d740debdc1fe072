//! `mcp`: the bridge between an agent's stdin and stdout and the running node.

use super::reach;
use crate::cli::Common;
use crate::exit::Failure;
use crate::mcp;

/// Speaks MCP until stdin ends. The database is never opened here.
///
/// # Errors
/// When no node runs, or the pipe breaks.
pub fn run(common: &Common) -> Result<(), Failure> {
    reach::runtime()?.block_on(async {
        let node = reach::running(common).await?.ok_or_else(|| {
            Failure::no_verdict("not_running", "no node is running over this data directory")
                .hint("start it with `memory-node serve`, or name it with `--connect`")
        })?;
        mcp::over_stdio(node)
            .await
            .map_err(|error| Failure::no_verdict("mcp", "the MCP client was lost").because(error))
    })
}
