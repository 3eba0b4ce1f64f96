//! The tool server alone, as `masque tool-server` runs it, and the inside of a container: the tests start both.

use masque_tools::server::{ToolServerConfig, serve};

fn main() -> Result<(), masque_tools::Error> {
    if std::env::args().nth(1).as_deref() == Some("container-inside") {
        return masque_container::inside::run().map_err(masque_tools::Error::Container);
    }
    let argument = std::env::args().nth(2).unwrap_or_default();
    let config = ToolServerConfig::parse(&argument)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(masque_tools::Error::Temporary)?.block_on(serve(config))
}
