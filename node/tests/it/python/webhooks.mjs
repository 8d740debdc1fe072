// One delivery, verified as a receiver in Node.js does it.
import { createHmac, timingSafeEqual } from "node:crypto";

const { SECRET, BODY } = process.env;
const headers = JSON.parse(process.env.HEADERS);
const verifies = (secret, body) => {
  const digest = createHmac("sha256", secret)
    .update(`${headers["x-ai-memory-timestamp"]}.${body}`).digest();
  return timingSafeEqual(digest, Buffer.from(headers["x-ai-memory-signature"].slice(7), "hex"));
};
if (!verifies(SECRET, BODY)) throw new Error("a good delivery does not verify");
if (verifies(SECRET, BODY + " ") || verifies("other", BODY)) throw new Error("a bad one does");
