"""The client of PyPI against this node, unchanged: every call that the node promises."""
import os

from ai_memory import AiMemoryClient
from ai_memory.errors import AuthError, NotFoundError, ValidationError
from ai_memory.models import UpdateMemory

url, token = os.environ["URL"], os.environ["TOKEN"]
with AiMemoryClient(url, api_key=token, agent_id="agent:py") as client:
    assert client.health()["status"] == "ok"
    made = client.store(title="Tea", content="the kettle is blue", tags=["kitchen"], priority=7)
    assert made["tier"] == "mid" and made["agent_id"] == "agent:py", made
    other = client.store(title="Car", content="parked by the river", tier="long", namespace="out",
                         ttl_secs=60, metadata={"a": [1, {"b": None}]}, scope="team")
    memory = client.get(made["id"])
    assert memory.title == "Tea" and memory.tags == ["kitchen"] and memory.priority == 7
    assert memory.metadata["agent_id"] == "agent:py"
    assert client.get(other["id"]).metadata["scope"] == "team"
    assert [m.title for m in client.list()] == ["Car", "Tea"]
    assert [m.title for m in client.list(namespace="out", limit=5, offset=0)] == ["Car"]
    assert [m.title for m in client.search("kettle")] == ["Tea"]
    assert client.search("kettle", tags="garage") == []
    recalled = client.recall("where is my kettle and where is the car parked", limit=5, budget_tokens=500)
    assert recalled.count == 2 and {m.title for m in recalled.memories} == {"Tea", "Car"}
    client.update(made["id"], UpdateMemory(title="Green tea", priority=9))
    assert client.get(made["id"]).title == "Green tea"
    assert client.get(made["id"]).access_count == 1
    client.update(made["id"], {"content": "the kettle is red"})
    assert client.get(made["id"]).content == "the kettle is red"
    client.link(made["id"], other["id"], "related_to")
    assert client.get_links(made["id"])[0]["target_id"] == other["id"]
    bulk = client.bulk_store([{"title": f"n{n}", "content": "c"} for n in range(3)])
    assert bulk.created == 3 and len(bulk.ids) == 3 and bulk.errors == []
    client.promote(made["id"])
    assert client.get(made["id"]).tier == "long" and client.get(made["id"]).expires_at is None
    stats = client.stats()
    assert stats.total == 5 and stats.links_count == 1, stats
    assert {t["tier"]: t["count"] for t in stats.by_tier}["long"] == 2
    assert {n["namespace"] for n in client.namespaces()} == {"global", "out"}
    export = client.export()
    assert export["count"] == 5 and len(export["links"]) == 1
    assert client.import_(export)["skipped"] == 5
    assert client.delete(other["id"])["deleted"] is True
    try:
        client.get(other["id"])
        raise SystemExit("a deleted memory was shown")
    except NotFoundError:
        pass
    try:
        client.store(title="", content="c")
        raise SystemExit("an empty title was taken")
    except ValidationError as error:
        assert "title" in str(error), error
    assert client.forget(pattern="n1")["deleted"] == 1
    assert client.gc()["deleted"] == 0
    subscription = client.subscribe({"url": "https://hook.invalid/x", "events": ["memory.created"]})
    assert [s.id for s in client.subscriptions()] == [subscription.id]
    client.unsubscribe(subscription.id)
    assert client.subscriptions() == []
    assert "memory_node_memories" in client.metrics()
with AiMemoryClient(url, api_key="wrong") as stranger:
    try:
        stranger.stats()
        raise SystemExit("a wrong token was let in")
    except AuthError:
        pass
print("all calls hold")
