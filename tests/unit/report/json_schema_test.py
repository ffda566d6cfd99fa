#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the JSON form to its schema, and the schema to refusing what is wrong: PROGRAM SCHEMA."""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

import jsonschema

program, schema_path = sys.argv[1:]
schema = json.loads(pathlib.Path(schema_path).read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)


def refused(document, change):
    changed = copy.deepcopy(document)
    change(changed)
    return not validator.is_valid(changed)


with tempfile.TemporaryDirectory() as directory:
    subprocess.run([program, directory], check=True)
    results = sorted(pathlib.Path(directory).glob("*.json"))
    assert [path.stem for path in results] == ["hostile", "known", "pass", "stall"], results
    for path in results:
        data = path.read_bytes()
        assert all(byte == 10 or 32 <= byte < 127 for byte in data), f"{path.stem}: not plain ASCII"
        document = json.loads(data)
        for error in validator.iter_errors(document):
            sys.exit(f"{path.stem}: {error.json_path}: {error.message}")
        for key in schema["required"]:
            assert refused(document, lambda d: d.pop(key)), f"the schema accepts a result without {key}"
        assert refused(document, lambda d: d.pop("guest_end")), "the schema accepts form 1.1 without the guest's end"
        assert refused(document, lambda d: d["guest_end"].update(status="3")), "a status may not be text"
        for key in ("suppressions", "suppressed"):
            assert refused(document, lambda d: d.pop(key)), f"the schema accepts form 1.2 without {key}"
        older = copy.deepcopy(document)
        older.pop("guest_end")
        older["format_version"]["minor"] = 0
        older.pop("suppressions"), older.pop("suppressed")
        assert validator.is_valid(older), "form 1.0 is refused"
        assert refused(document, lambda d: d.update(verdict="passed")), "the schema accepts any verdict"
        assert refused(document, lambda d: d["format_version"].update(major=2)), "the schema accepts another form"

    known = json.loads((pathlib.Path(directory) / "known.json").read_text())
    assert [finding["rule"] for finding in known["findings"]] == ["dma-after-unmap"], known["findings"]
    assert [(finding["rule"], finding["suppressed_by"]) for finding in known["suppressed"]] == [("cmd-deadline", 1)], known["suppressed"]
    assert [entry["state"] for entry in known["suppressions"]["entries"]] == ["unused", "used", "expired"], known["suppressions"]
    assert known["suppressions"]["entries"][0]["expires"] is None
    assert (known["counts"]["findings"], known["counts"]["suppressed"]) == (1, 5), known["counts"]
    assert refused(known, lambda d: d["suppressed"][0].pop("suppressed_by")), "a suppressed finding names its entry"
    stall = json.loads((pathlib.Path(directory) / "stall.json").read_text())
    assert stall["verdict"] == "fail" and stall["exit_status"] == 1
    assert stall["guest_end"] == {"ended": "powered off", "status": 3, "wedged": None, "text": "powered off, status 3"}, stall["guest_end"]
    first = stall["findings"][0]
    assert (first["rule"], first["device"], first["address"], first["length"]) == ("dma-after-unmap", "disk0", "0x1f3000", 512), first
    assert [event["role"] for event in first["events"]] == ["mapped", "unmapped", "access"], first["events"]
    assert first["events"][0]["arguments"]["bus"] == "0x1f3000", first["events"][0]
    assert refused(stall, lambda d: d["findings"][0].update(address=0x1f3000)), "an address may not be a number"
    assert [entry["what"] for entry in stall["timeline"]] == \
        ["fault begin", "timeout", "abort", "reset", "fault end", "enabled"], stall["timeline"]
