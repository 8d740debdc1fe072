"""One delivery, verified by the library of Standard Webhooks and by six lines of hmac."""
import hashlib
import hmac
import json
import os

from standardwebhooks import Webhook, WebhookVerificationError

secret, body = os.environ["SECRET"], os.environ["BODY"].encode()
headers = json.loads(os.environ["HEADERS"])
assert Webhook(secret).verify(body, headers)["event"] == "memory.created"
for spoiled in (body.replace(b"created", b"Created"), body + b" "):
    try:
        Webhook(secret).verify(spoiled, headers)
        raise SystemExit("a changed body verifies")
    except WebhookVerificationError:
        pass
try:
    Webhook(secret).verify(body, headers | {"webhook-timestamp": "1700000000"})
    raise SystemExit("an old timestamp verifies")
except WebhookVerificationError:
    pass


def verifies(key, body, headers):
    signed = headers["x-ai-memory-timestamp"].encode() + b"." + body
    digest = hmac.new(key, signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest("sha256=" + digest, headers["x-ai-memory-signature"])


assert verifies(secret.encode(), body, headers)
assert not verifies(secret.encode(), body + b"x", headers)
assert not verifies(b"another secret", body, headers)

# The way that receivers written for ai-memory do it: they hold the hash of the secret.
old = hashlib.sha256(os.environ["OLD_SECRET"].encode()).hexdigest().encode()
assert verifies(old, os.environ["OLD_BODY"].encode(), json.loads(os.environ["OLD_HEADERS"]))
