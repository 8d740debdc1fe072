// Sigstore's own client over a bundle's provenance, with a public key and without a log: what
// `cosign verify-blob-attestation --key` checks. Arguments: bundle, public key, binary.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.PACKAGES + "/");
const { bundleFromJSON } = require("@sigstore/bundle");
const { Verifier, toSignedEntity, toTrustMaterial } = require("@sigstore/verify");

const [folder, keyFile, binary] = process.argv.slice(2);
const line = readFileSync(`${folder}/provenance.intoto.jsonl`, "utf8");
const envelope = JSON.parse(line);
const pem = readFileSync(keyFile, "utf8");
const der = Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64");
const hint = "sha256:" + createHash("sha256").update(der).digest("hex");

function accepted(envelope) {
  // A Sigstore bundle carries one signature: the one of this key.
  const bundle = bundleFromJSON({
    mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    verificationMaterial: { publicKey: { hint } },
    dsseEnvelope: {
      ...envelope,
      signatures: envelope.signatures.filter((signature) => signature.keyid === hint),
    },
  });
  const none = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
  const trust = toTrustMaterial(none, { [hint]: { rawBytes: der } });
  const options = { tlogThreshold: 0, ctlogThreshold: 0, tsaThreshold: 0, timestampThreshold: 0 };
  try {
    new Verifier(trust, options).verify(toSignedEntity(bundle));
    return true;
  } catch (error) {
    if (error.code !== "SIGNATURE_ERROR") throw error;
    return false;
  }
}

function must(holds, what) {
  if (!holds) throw new Error(what);
}

must(accepted(envelope), "the signature is not accepted");
const payload = Buffer.from(envelope.payload, "base64");
for (const place of [0, payload.length >> 1, payload.length - 1]) {
  const other = Buffer.from(payload);
  other[place] ^= 1;
  must(!accepted({ ...envelope, payload: other.toString("base64") }), `accepted with byte ${place} changed`);
}
must(!accepted({ ...envelope, payloadType: "text/plain" }), "accepted with another type");

// Then cosign looks whether the blob is a subject, and whether the predicate is of the asked type.
const statement = JSON.parse(payload);
const digest = createHash("sha256").update(readFileSync(binary)).digest("hex");
must(envelope.payloadType === "application/vnd.in-toto+json", envelope.payloadType);
must(statement.predicateType === "https://slsa.dev/provenance/v1", statement.predicateType);
must(statement.subject.some((subject) => subject.digest.sha256 === digest), "the binary is no subject");
console.log(`accepted: ${hint}`);
