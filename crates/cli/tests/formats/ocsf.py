"""Validates findings, one on each line of standard input, against the published schema."""

import json
import sys

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))
validators = {}
findings = 0
for line in sys.stdin:
    finding = json.loads(line)
    profiles = tuple(finding["metadata"]["profiles"])
    if profiles not in validators:
        validators[profiles] = Draft202012Validator(
            schema.get_class_schema(class_name="detection_finding", profiles=list(profiles))
        )
    for error in validators[profiles].iter_errors(finding):
        place = "/".join(map(str, error.absolute_path))
        sys.exit(f"{place}: {error.message}\n{line}")
    findings += 1
print(findings)
