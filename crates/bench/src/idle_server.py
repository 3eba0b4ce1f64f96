"""A server of the MCP SDK whose only tool does nothing."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("idle")


@server.tool()
def nothing(text: str) -> str:
    """Answers."""
    return text


server.run("stdio")
