// Deliveries, verified by Node.js alone and, where it is to be had, by the library of Standard
// Webhooks.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

const plain = (key, body, headers) => {
  const timestamp = headers["x-ai-memory-timestamp"];
  const digest = createHmac("sha256", key).update(`${timestamp}.${body}`).digest();
  const given = Buffer.from(headers["x-ai-memory-signature"].slice("sha256=".length), "hex");
  const genuine = given.length === digest.length && timingSafeEqual(digest, given);
  return genuine && Math.abs(Date.now() / 1000 - Number(timestamp)) <= 300;
};
const checks = [["node:crypto", ({ secret, profile, body, headers }) => {
  const hashed = createHash("sha256").update(secret).digest("hex");
  return plain(profile === "standard" ? secret : hashed, body, headers);
}]];
if (process.env.WITH_PACKAGES) {
  const { Webhook, WebhookVerificationError } = await import("standardwebhooks");
  checks.push(["standardwebhooks", ({ secret, body, headers }) => {
    const options = secret.startsWith("whsec_") ? undefined : { format: "raw" };
    try {
      new Webhook(secret, options).verify(body, headers);
      return true;
    } catch (error) {
      if (error instanceof WebhookVerificationError) return false;
      throw error;
    }
  }]);
}
const cases = JSON.parse(process.env.CASES);
for (const [name, check] of checks) {
  for (const one of cases) {
    if (check(one) !== one.genuine) throw new Error(`${name}: ${JSON.stringify(one)}`);
  }
}
const vector = createHmac("sha256", "whsec-test-secret-0123456789abcdef")
  .update('1700000000.{"event":"memory.created","id":"mem_01"}').digest("hex");
if (vector !== "5247fff4e8aec8930354fdcd9496b508141525acab14ddb620f29a1e86a6bb3e") {
  throw new Error("the vector does not hold");
}
