"""Scan templates (cfn-lint, checkov) and dependencies (pip-audit) for known vulnerabilities.

`python -m infra.audit [templates] [libraries] [bundled]`, all where none is named. The tools have
their own environment, because their pins conflict with those of Sortbox. Auditing libraries queries
the package registry for every pinned package; the other audits send no requests.

A package that could not be checked is reported, and the audit fails. pip-audit itself reports
success even if it has skipped every package.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra import shipped
from infra.audit import inventory
from infra.setup import node
from infra.setup.environments import LOCAL, python_environment
from infra.stacks import bundle

HERE = Path(__file__).parent
TOOLS = LOCAL / "audit-venv"
REGION = "us-east-1"
TEMPLATES = ("storage.yml", "image.yml", "key.yml")
REQUIREMENTS = (
    *("requirements.txt", "infra/local/requirements.txt", "infra/audit/requirements.txt"),
    *("benchmarks/requirements.txt", "infra/container/serve.txt"),
    *("infra/container/cpu.txt", "infra/container/gpu.txt"),
    *("infra/tools/laptop.txt", "infra/tools/uv.txt", "infra/tools/node.txt"),
    "infra/tools/sbom.txt",
    *("infra/tools/atheris.txt", "infra/tools/mutmut.txt", "infra/tools/docs.txt"),
)
NETWORK_VARIABLES = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"),
)
"""The variables that a tool needs to reach the network through a proxy with its own certificate."""

PASSED_VARIABLES = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_CACHE_HOME", *NETWORK_VARIABLES}
)
FOUND, UNCHECKED, LISTED = 1, 2, -1
OUTCOMES = {
    0: "nothing found",
    UNCHECKED: "not all of it could be checked, see above",
    LISTED: "listed above, and checked by nobody",
}


def main(*names: str) -> int:
    audits: dict[str, Callable[[], int]] = {
        "templates": templates,
        "libraries": libraries,
        "bundled": bundled,
    }
    if unknown := sorted(set(names) - set(audits)):
        print(f"no such audit: {', '.join(unknown)}; there are {', '.join(audits)}")
        return FOUND
    python_environment(TOOLS, HERE / "requirements.txt")
    results = {name: audits[name]() for name in names or audits}
    for name, status in results.items():
        print(f"{name}: {OUTCOMES.get(status, 'see above')}")
    return max(0, *results.values())


def templates() -> int:
    with TemporaryDirectory() as folder:
        package("prod", Path(folder))
        statuses = lint(Path(folder)), scan(Path(folder))  # cfn-lint's 2 is an error that it found
        return FOUND if any(statuses) else 0


def package(stage: str, folder: Path) -> None:
    """Write every template as it would be deployed. Raises CalledProcessError."""
    bundle.build(bundle.BUNDLE)
    ours = node.environment() | {"SORTBOX_BUCKET": "bucket", "AWS_REGION": REGION}
    with TemporaryDirectory() as folder_name, node.alone():
        command = node.osls("package", "--stage", stage, "--package", folder_name)
        subprocess.run(command, cwd=shipped.REPOSITORY, env=ours, check=True, capture_output=True)
        template = Path(folder_name, "cloudformation-template-update-stack.json")
        shutil.copy(template, folder / "sortbox.json")
    for name in TEMPLATES:
        shutil.copy(shipped.REPOSITORY / "infra" / "stacks" / name, folder)


def lint(folder: Path) -> int:
    files = sorted(str(path) for path in folder.iterdir())
    config = ["--config-file", str(HERE / "cfnlint.yml")]
    return _run("cfn-lint", *config, "--regions", REGION, "--format", "parseable", "-t", *files)


def scan(folder: Path) -> int:
    return _run("checkov", "--config-file", str(HERE / "checkov.yml"), "-d", str(folder))


def libraries() -> int:
    """Audit every package of every lock, including those of the tools; returns the exit code."""
    with TemporaryDirectory() as folder:
        return max(_audit_lock(lock, Path(folder, "said.json")) for lock in REQUIREMENTS)


def _audit_lock(lock: str, answer: Path) -> int:
    """Audit a lock with pip-audit. The lock is complete, so dependencies are not resolved again."""
    answer.unlink(missing_ok=True)
    options = ["--no-deps", "--disable-pip", "--progress-spinner", "off"]
    options += ["--format", "json", "--output", str(answer), "--requirement", lock]
    status = _run("pip-audit", *options, quiet=True)
    if not answer.is_file():
        print(f"{lock}: not checked, pip-audit ended with {status}: it could not ask, see above")
        return UNCHECKED
    result = parse_result(json.loads(answer.read_text()))
    print(f"{lock}: {result}")
    return result.status


@dataclass(frozen=True, slots=True)
class AuditResult:
    """The result of pip-audit for a lock. `vulnerable` and `skipped` are sentences, one per
    package.
    """

    clean: int
    vulnerable: tuple[str, ...]
    skipped: tuple[str, ...]

    @property
    def status(self) -> int:
        if self.vulnerable:
            return FOUND
        return UNCHECKED if self.skipped or not self.clean else 0

    def __str__(self) -> str:
        counts = f"{self.clean} have no known fault, {len(self.vulnerable)} have, "
        counts += f"{len(self.skipped)} could not be checked"
        shown = [*self.vulnerable, *self.skipped[:MAX_SHOWN]]
        if len(self.skipped) > MAX_SHOWN:
            shown.append(f"and {len(self.skipped) - MAX_SHOWN} more that could not be checked")
        return "\n  ".join([counts, *shown])


MAX_SHOWN = 3


def parse_result(document: dict[str, Any]) -> AuditResult:
    """Parse pip-audit's JSON."""
    clean, vulnerable, skipped = 0, [], []
    for dependency in document["dependencies"]:
        if "skip_reason" in dependency:
            skipped.append(str(dependency["skip_reason"]))
        elif dependency["vulns"]:
            identifiers = ", ".join(fault["id"] for fault in dependency["vulns"])
            vulnerable.append(f"{dependency['name']} {dependency['version']}: {identifiers}")
        else:
            clean += 1
    return AuditResult(clean, tuple(vulnerable), tuple(skipped))


def bundled() -> int:
    """Audit the libraries that are bundled in the image's wheels, which pip-audit does not know."""
    parts = inventory.components(inventory.own_site(), inventory.contents("image-gpu"))
    bundles = [(part, item) for part in parts for item in part.bundled]
    for part, item in bundles:
        print(f"  {part.name:24} {item.name:24} {item.version or '?':24} {item.told_by}")
    unknown = sum(item.version is None for _, item in bundles)
    print(
        f"{len(bundles)} things within {len({part.name for part, _ in bundles})} packages of the "
        f"image, {unknown} of unknown version; code linked into extension modules "
        "is not seen"
    )
    return LISTED


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """The environment variables for the tools: without credentials, with which checkov would upload
    its findings.
    """
    return {name: ours[name] for name in PASSED_VARIABLES if name in ours}


def _run(tool: str, *arguments: str, quiet: bool = False) -> int:
    command = [str(TOOLS / "bin" / tool), *arguments]
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run(
        command, cwd=shipped.REPOSITORY, env=environment(os.environ), stdout=output, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
