"""The official MCP client, over stdio and over streamable HTTP."""
import asyncio
import json
import os

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

TOOLS = {"memory_store", "memory_recall", "memory_search", "memory_list", "memory_get",
         "memory_update", "memory_delete", "memory_link", "memory_export",
         "memory_subscribe", "memory_subscriptions", "memory_unsubscribe",
         "memory_subscription_pause", "memory_subscription_resume", "memory_subscription_rotate",
         "memory_subscription_test", "memory_deliveries", "memory_replay"}


async def drive(client, mark):
    tools = await client.list_tools()
    assert {tool.name for tool in tools.tools} == TOOLS, tools

    async def call(tool, **args):
        result = await client.call_tool(tool, args)
        text = "".join(part.text for part in result.content)
        assert not result.is_error, (tool, text)
        return json.loads(text)

    made = await call("memory_store", title=f"{mark} one", content="the lamp is green", tags=["x"])
    other = await call("memory_store", title=f"{mark} two", content="the door is open")
    assert (await call("memory_get", id=made["id"]))["content"] == "the lamp is green"
    assert (await call("memory_search", q=f"{mark} lamp"))["count"] == 1
    assert (await call("memory_list", limit=1))["count"] == 1
    assert (await call("memory_recall", context="is the lamp on?", limit=3))["count"] >= 1
    changed = await call("memory_update", id=made["id"], title=f"{mark} changed")
    assert changed["title"] == f"{mark} changed"
    await call("memory_link", source_id=made["id"], target_id=other["id"])
    assert (await call("memory_export"))["count"] >= 2
    hook = await call("memory_subscribe", url="https://hook.invalid/x", events=["link.created"])
    assert hook["secret"].startswith("whsec_")
    assert (await call("memory_delete", id=other["id"]))["deleted"] is True
    refused = await client.call_tool("memory_get", {"id": other["id"]})
    assert refused.is_error and "not_found" in refused.content[0].text


async def main():
    server = StdioServerParameters(command=os.environ["NODE"],
                                   args=["--data-dir", os.environ["DATA"], "mcp"])
    async with Client(server) as client:
        await drive(client, "stdio")
    headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
    async with httpx2.AsyncClient(headers=headers) as http:
        transport = streamable_http_client(os.environ["URL"] + "/mcp", http_client=http)
        async with Client(transport) as client:
            await drive(client, "http")

asyncio.run(main())
print("both transports hold")
