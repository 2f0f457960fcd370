"""What others know to look for: templates by cfn-lint and checkov, libraries by pip-audit.

`python -m infra.audit [templates] [libraries] [bundled]`, all where none is named. The tools have
an environment of their own, because they pin what Sortbox pins otherwise. Auditing libraries asks
the package registry about every one that is pinned; the others ask nobody.

What could not be asked about is said to be unchecked, and the audit then fails: pip-audit itself
calls an audit in which it skipped everything a success.
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
WRITTEN = ("storage.yml", "image.yml", "key.yml")
REQUIREMENTS = (
    *("requirements.txt", "infra/local/requirements.txt", "infra/audit/requirements.txt"),
    *("benchmarks/requirements.txt", "infra/container/serve.txt"),
    *("infra/container/cpu.txt", "infra/container/gpu.txt"),
    *("infra/tools/laptop.txt", "infra/tools/uv.txt", "infra/tools/node.txt"),
    "infra/tools/sbom.txt",
    *("infra/tools/atheris.txt", "infra/tools/mutmut.txt", "infra/tools/docs.txt"),
)
ROAD = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"),
)
"""How a tool reaches the network where that goes through a proxy with a certificate of its own."""

PASSED = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_CACHE_HOME", *ROAD})
FOUND, UNCHECKED, LISTED = 1, 2, -1
SAID = {
    0: "nothing found",
    UNCHECKED: "not all of it could be checked, see above",
    LISTED: "listed above, and checked by nobody",
}


def main(*wanted: str) -> int:
    audits: dict[str, Callable[[], int]] = {
        "templates": templates,
        "libraries": libraries,
        "bundled": bundled,
    }
    if unknown := sorted(set(wanted) - set(audits)):
        print(f"no such audit: {', '.join(unknown)}; there are {', '.join(audits)}")
        return FOUND
    python_environment(TOOLS, HERE / "requirements.txt")
    results = {name: audits[name]() for name in wanted or audits}
    for name, status in results.items():
        print(f"{name}: {SAID.get(status, 'see above')}")
    return max(0, *results.values())


def templates() -> int:
    with TemporaryDirectory() as folder:
        package("prod", Path(folder))
        return max(lint(Path(folder)), scan(Path(folder)))


def package(stage: str, folder: Path) -> None:
    """Every template as it would be deployed. Raises CalledProcessError."""
    bundle.build(bundle.BUNDLE)
    ours = node.environment() | {"SORTBOX_BUCKET": "bucket", "AWS_REGION": REGION}
    with TemporaryDirectory() as made, node.alone():
        command = node.osls("package", "--stage", stage, "--package", made)
        subprocess.run(command, cwd=shipped.REPOSITORY, env=ours, check=True, capture_output=True)
        template = Path(made, "cloudformation-template-update-stack.json")
        shutil.copy(template, folder / "sortbox.json")
    for name in WRITTEN:
        shutil.copy(shipped.REPOSITORY / "infra" / "stacks" / name, folder)


def lint(folder: Path) -> int:
    files = sorted(str(path) for path in folder.iterdir())
    config = ["--config-file", str(HERE / "cfnlint.yml")]
    return _run("cfn-lint", *config, "--regions", REGION, "--format", "parseable", "-t", *files)


def scan(folder: Path) -> int:
    return _run("checkov", "--config-file", str(HERE / "checkov.yml"), "-d", str(folder))


def libraries() -> int:
    """Every package of every lock, the tools' own as well."""
    with TemporaryDirectory() as folder:
        return max(_asked_about(lock, Path(folder, "said.json")) for lock in REQUIREMENTS)


def _asked_about(lock: str, answer: Path) -> int:
    """Everything is pinned with what it needs, so nothing is resolved again."""
    answer.unlink(missing_ok=True)
    options = ["--no-deps", "--disable-pip", "--progress-spinner", "off"]
    options += ["--format", "json", "--output", str(answer), "--requirement", lock]
    status = _run("pip-audit", *options, quiet=True)
    if not answer.is_file():
        print(f"{lock}: not checked, pip-audit ended with {status}: it could not ask, see above")
        return UNCHECKED
    found = judged(json.loads(answer.read_text()))
    print(f"{lock}: {found}")
    return found.status


@dataclass(frozen=True, slots=True)
class Judged:
    """What pip-audit says of a lock. `vulnerable` and `skipped` are sentences, one a package."""

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
        shown = [*self.vulnerable, *self.skipped[:SHOWN]]
        if len(self.skipped) > SHOWN:
            shown.append(f"and {len(self.skipped) - SHOWN} more that could not be checked")
        return "\n  ".join([counts, *shown])


SHOWN = 3


def judged(said: dict[str, Any]) -> Judged:
    """Reads pip-audit's JSON."""
    clean, vulnerable, skipped = 0, [], []
    for each in said["dependencies"]:
        if "skip_reason" in each:
            skipped.append(str(each["skip_reason"]))
        elif each["vulns"]:
            known = ", ".join(fault["id"] for fault in each["vulns"])
            vulnerable.append(f"{each['name']} {each['version']}: {known}")
        else:
            clean += 1
    return Judged(clean, tuple(vulnerable), tuple(skipped))


def bundled() -> int:
    """What the image's wheels bring beside what their names say: pip-audit knows none of it."""
    parts = inventory.parts(inventory.own_site(), inventory.contents("image-gpu"))
    told = [(part, each) for part in parts for each in part.bundled]
    for part, each in told:
        print(f"  {part.name:24} {each.name:24} {each.version or '?':24} {each.told_by}")
    unknown = sum(each.version is None for _, each in told)
    print(
        f"{len(told)} things within {len({part.name for part, _ in told})} packages of the image, "
        f"{unknown} of unknown version; what is linked into an extension module is not even seen"
    )
    return LISTED


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """The tools need no credentials, and checkov would send its findings with some."""
    return {name: ours[name] for name in PASSED if name in ours}


def _run(tool: str, *arguments: str, quiet: bool = False) -> int:
    command = [str(TOOLS / "bin" / tool), *arguments]
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run(
        command, cwd=shipped.REPOSITORY, env=environment(os.environ), stdout=output, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
