"""The audit reaches the network as its caller does, and calls nothing checked that was not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra import shipped
from infra.audit import __main__ as audit
from infra.audit import inventory
from tests.unit.infra.setup.test_locks import wishes


def test_a_proxys_certificate_and_address_reach_the_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in audit.NETWORK_VARIABLES:
        monkeypatch.setenv(name, f"as {name} was")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none of their business")
    monkeypatch.setenv("BC_API_KEY", "checkov would send its findings with it")
    given = audit.environment(os.environ)
    assert {name: given.get(name) for name in audit.NETWORK_VARIABLES} == {
        name: f"as {name} was" for name in audit.NETWORK_VARIABLES
    }
    assert not {"AWS_SECRET_ACCESS_KEY", "BC_API_KEY"} & set(given)


def test_what_was_skipped_is_never_called_clean() -> None:
    """pip-audit's own status is 0 when it could ask about nothing at all."""
    skipped = {"name": "numpy", "skip_reason": "numpy (2.2.6) not found"}
    clean = {"name": "six", "version": "1.17.0", "vulns": []}
    faulty = {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1"}, {"id": "GHSA-2"}]}
    assert audit.parse_result({"dependencies": [clean]}).status == 0
    assert audit.parse_result({"dependencies": [clean, skipped]}).status == audit.UNCHECKED
    assert audit.parse_result({"dependencies": []}).status == audit.UNCHECKED
    found = audit.parse_result({"dependencies": [clean, skipped, faulty]})
    assert found.status == audit.FOUND
    assert "old 1.0: PYSEC-1, GHSA-2" in str(found)
    assert "1 have no known fault, 1 have, 1 could not be checked" in str(found)


def test_every_lock_is_asked_about() -> None:
    parts = {"infra/container/torch-cpu.txt"}
    wanted = {f"{wish}.txt" for wish in wishes()} - parts
    assert wanted == set(audit.REQUIREMENTS), "the versions of parts are in requirements.txt"


def test_what_is_bundled_is_listed_and_not_called_checked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from infra.audit import __main__ as a; print(a.bundled())"],
        cwd=shipped.REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, total, status = done.stdout.splitlines()
    assert int(status) == audit.LISTED
    assert "unknown version" in total
    named = {(line.split()[0], line.split()[1]) for line in lines}
    assert ("pillow-heif", "libheif") in named
    assert ("opencv-python-headless", "openssl-libs") in named
    names = {name for name, _ in named}
    assert names <= inventory.contents("image-gpu")


def test_the_answer_of_pip_audit_is_read_as_it_writes_it() -> None:
    """Its form, kept here: pip-audit 2.10.1 with --format json."""
    reason = "Dependency not found on PyPI and could not be audited: boto3 (1.43.106)"
    said = {"dependencies": [{"name": "boto3", "skip_reason": reason}], "fixes": []}
    assert audit.parse_result(json.loads(json.dumps(said))).skipped == (reason,)
