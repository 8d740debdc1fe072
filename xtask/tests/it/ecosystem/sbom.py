"""Python's official CycloneDX library over CycloneDX documents: each argument must be valid, and
the same document with something spoilt must not be."""

import json
import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

validator = JsonStrictValidator(SchemaVersion.V1_6)
for path in map(pathlib.Path, sys.argv[1:]):
    text = path.read_text()
    error = validator.validate_str(text)
    assert error is None, f"{path}: {error}"
    document = json.loads(text)
    assert document["specVersion"] == "1.6", path
    for spoilt in (dict(document, components=[{"type": "library"}]), dict(document, unknown=1)):
        assert validator.validate_str(json.dumps(spoilt)) is not None, f"{path}: spoilt, and valid"
    print("valid:", path.name)
