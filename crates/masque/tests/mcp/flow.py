"""Invoke, poll, progress, result; propose, approve on the command line, indexed, found. With the official SDK."""

import asyncio
import os
import subprocess
import sys

from mcp import Client, StdioServerParameters

MASQUE, ERA, WHERE = sys.argv[1:4]
TOKEN = sys.argv[4] if len(sys.argv) > 4 else None
CONTENT = """## Context
Every list that a service returns can grow.

## Pattern
A list must be paged by an opaque cursor, never by an offset.

## Examples
`GET /orders?cursor=b3JkZXI6NDI`

## Anti-patterns
Offsets skip rows when rows are added.
"""


def transport():
    if WHERE == "stdio":
        return StdioServerParameters(command=MASQUE, args=["mcp"], env=dict(os.environ))
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=120)
    return streamable_http_client(WHERE, http_client=http)


def value(result):
    assert not result.is_error, result
    return result.structured_content


async def invoked(client):
    heard = []

    async def progress(done, total, message):
        heard.append((done, message))

    started = value(await client.call_tool("invoke_security", {"task": "review the project"}))
    assert started["status"] == "started" and started["persona"] == "security", started
    for _ in range(60):
        check = {"job_id": started["job_id"], "wait_s": 20}
        seen = value(await client.call_tool("check_persona_job", check, progress_callback=progress))
        if seen["status"] not in ("pending", "running"):
            break
    assert seen["status"] == "complete" and seen["result"] == "The review is done.", seen
    steps = [done for done, _ in heard]
    assert steps and steps == sorted(set(steps)), heard
    return started["job_id"]


async def approved(client, job):
    before = value(await client.call_tool("search_standards", {"query": "how are lists paged?"}))
    assert before["results"] == [], before
    proposal = {
        "domain": "architecture",
        "topic": "paging",
        "title": "Paging of lists",
        "content": CONTENT,
        "tags": ["api"],
        "job_id": job,
    }
    proposed = value(await client.call_tool("propose_standard", proposal))
    assert proposed["status"] == "draft" and "+A list must be paged" in proposed["diff"], proposed
    decided = value(await client.call_tool("decide_proposal", {"proposal_id": proposed["proposal_id"]}))
    assert decided["status"] == "draft" and decided["decide_with"] in decided["message"], decided
    assert not os.path.exists(proposed["file"]), "nothing is written before a person decides"
    words = ["standard", "approve", proposed["proposal_id"], "--yes", "--digest", proposed["digest"]]
    done = subprocess.run([MASQUE, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done
    assert os.path.exists(proposed["file"]), proposed
    after = value(await client.call_tool("search_standards", {"query": "how are lists paged?"}))
    assert after["results"][0]["citation"] == "standard://architecture/paging", after
    assert after["results"][0]["approved"] is True, after
    whole = value(await client.call_tool("get_standard", {"standard": "architecture/paging"}))
    assert "never by an offset" in whole["content"], whole
    read = await client.read_resource("standard://architecture/paging")
    assert "never by an offset" in read.contents[0].text, read


async def main():
    async with Client(transport(), mode=ERA, cache=None) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert "invoke_security" in tools and "search_standards" in tools, tools
        prompts = [prompt.name for prompt in (await client.list_prompts()).prompts]
        assert prompts[0] == "architect", prompts
        job = await invoked(client)
        await approved(client, job)
        refused = await client.call_tool("invoke_persona", {"persona": "nobody", "task": "x"})
        assert refused.is_error, refused
    print("the flow is complete")


asyncio.run(main())
