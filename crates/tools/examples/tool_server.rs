//! The tool server alone, as `masque tool-server` runs it: the tests start it in a sandbox.

use masque_tools::server::{ToolServerConfig, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), masque_tools::Error> {
    let argument = std::env::args().nth(2).unwrap_or_default();
    serve(ToolServerConfig::parse(&argument)?).await
}
