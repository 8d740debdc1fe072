"""Webhooks over MCP with the official client: subscribe, test, look, replay, rotate, pause, end."""
import asyncio
import json
import os
import time

from mcp import Client, StdioServerParameters


async def main():
    server = StdioServerParameters(command=os.environ["NODE"],
                                   args=["--data-dir", os.environ["DATA"], "mcp"])
    async with Client(server) as client:
        async def call(tool, **args):
            result = await client.call_tool(tool, args)
            text = "".join(part.text for part in result.content)
            assert not result.is_error, (tool, text)
            return json.loads(text)

        made = await call("memory_subscribe", url=os.environ["RECEIVER"],
                          events=["memory.deleted"], namespace_filter="work", agent_filter="a",
                          profile="legacy-sha256", secret="a-secret-of-an-agent")
        assert made["secret"] == "a-secret-of-an-agent" and made["profile"] == "legacy-sha256"
        hook = made["id"]
        listed = await call("memory_subscriptions")
        assert listed["count"] == 1 and "secret" not in listed["subscriptions"][0]
        test = await call("memory_subscription_test", id=hook)
        for _ in range(500):
            [row] = (await call("memory_deliveries", id=hook, state="pending", limit=5))["deliveries"]
            if row["attempts"] == 1:
                break
            time.sleep(0.02)
        assert (row["event_id"], row["last_status"]) == (test["event_id"], 500), row
        assert (await call("memory_replay", id=hook, from_seq=test["seq"]))["replayed"] == 1
        rotated = await call("memory_subscription_rotate", id=hook, overlap_s=60)
        assert rotated["secret"].startswith("whsec_")
        assert (await call("memory_subscription_pause", id=hook))["active"] is False
        assert (await call("memory_subscription_resume", id=hook))["active"] is True
        for _ in range(500):
            if (await call("memory_deliveries", id=hook, state="delivered"))["count"] == 1:
                break
            time.sleep(0.02)
        else:
            raise SystemExit("the replay did not arrive")
        assert (await call("memory_unsubscribe", id=hook))["deleted"] is True
        refused = await client.call_tool("memory_deliveries", {"id": hook})
        assert refused.is_error and "not_found" in refused.content[0].text

asyncio.run(main())
print("it holds")
