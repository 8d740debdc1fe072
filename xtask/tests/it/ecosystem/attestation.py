"""Python's readers of attestations over a bundle's provenance: DSSE by securesystemslib, the
statement and its predicate by in-toto-attestation. Arguments: bundle, public key, key id."""

import base64
import copy
import hashlib
import json
import pathlib
import sys

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

bundle, key_file, keyid = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
lines = (bundle / "provenance.intoto.jsonl").read_text().splitlines()
assert len(lines) == 1, lines
document = json.loads(lines[0])
public = load_pem_public_key(pathlib.Path(key_file).read_bytes())
key = SSlibKey.from_crypto(public, keyid=keyid)


def accepted(document):
    # from_dict changes what it is given.
    envelope = Envelope.from_dict(copy.deepcopy(document))
    try:
        return list(envelope.verify([key], 1)) == [keyid]
    except VerificationError:
        return False


assert accepted(document), "the signature is not accepted"
payload = base64.b64decode(document["payload"])
for place in (0, len(payload) // 2, len(payload) - 1):
    other = bytearray(payload)
    other[place] ^= 1
    spoilt = dict(document, payload=base64.b64encode(other).decode())
    assert not accepted(spoilt), f"accepted with byte {place} changed"
assert not accepted(dict(document, payloadType="text/plain")), "accepted with another type"

statement = statement_pb2.Statement()
json_format.Parse(payload, statement)
Statement.copy_from_pb(statement).validate()
assert statement.predicate_type == "https://slsa.dev/provenance/v1", statement.predicate_type
subjects = {subject.name: subject.digest["sha256"] for subject in statement.subject}
shipped = {
    f"bin/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest()
    for file in (bundle / "bin").iterdir()
}
assert subjects == shipped, (subjects, shipped)

predicate = provenance_pb2.Provenance()
json_format.ParseDict(json_format.MessageToDict(statement.predicate), predicate)
definition = predicate.build_definition
assert definition.build_type and predicate.run_details.builder.id, predicate
assert definition.external_parameters["tag"] == "v1.0.0", definition.external_parameters
assert all(input.digest for input in definition.resolved_dependencies), "an input without a digest"
print(f"accepted: {len(subjects)} subjects, {len(definition.resolved_dependencies)} inputs")
