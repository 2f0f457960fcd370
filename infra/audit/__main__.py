"""What others know to look for: templates by cfn-lint and checkov, libraries by pip-audit.

`python -m infra.audit [templates] [libraries]`, both where neither is named. The tools have an
environment of their own, because they pin what Sortbox pins otherwise. Auditing libraries asks the
package registry about every one that is pinned; auditing templates asks nobody.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from infra import bundle, node
from infra.environments import LOCAL, python_environment

HERE = Path(__file__).parent
TOOLS = LOCAL / "audit-venv"
REGION = "us-east-1"
REQUIREMENTS = ("requirements.txt", "infra/local/requirements.txt")


def main(*wanted: str) -> int:
    audits: dict[str, Callable[[], int]] = {"templates": templates, "libraries": libraries}
    python_environment(TOOLS, HERE / "requirements.txt")
    results = {name: audits[name]() for name in wanted or audits}
    for name, status in results.items():
        print(f"{name}: {'nothing found' if status == 0 else 'see above'}")
    return max(results.values())


def templates() -> int:
    with TemporaryDirectory() as folder:
        package("prod", Path(folder))
        return max(lint(Path(folder)), scan(Path(folder)))


def package(stage: str, folder: Path) -> None:
    """Both stacks' templates, as they would be deployed. Raises CalledProcessError."""
    bundle.build(bundle.BUNDLE)
    environment = node.environment() | {"SORTBOX_BUCKET": "bucket", "AWS_REGION": REGION}
    with TemporaryDirectory() as made, node.alone():
        command = node.osls("package", "--stage", stage, "--package", made)
        subprocess.run(
            command, cwd=bundle.REPOSITORY, env=environment, check=True, capture_output=True
        )
        template = Path(made, "cloudformation-template-update-stack.json")
        shutil.copy(template, folder / "sortbox.json")
    shutil.copy(bundle.REPOSITORY / "infra" / "storage.yml", folder)


def lint(folder: Path) -> int:
    files = [str(folder / "sortbox.json"), str(folder / "storage.yml")]
    config = ["--config-file", str(HERE / "cfnlint.yml")]
    return _run("cfn-lint", *config, "--regions", REGION, "--format", "parseable", "-t", *files)


def scan(folder: Path) -> int:
    return _run("checkov", "--config-file", str(HERE / "checkov.yml"), "-d", str(folder))


def libraries() -> int:
    """Everything is pinned with what it needs, so nothing is resolved again."""
    return max(_run("pip-audit", "--no-deps", "--disable-pip", "-r", file) for file in REQUIREMENTS)


def _run(tool: str, *arguments: str) -> int:
    # Proxied or not: the tools need no credentials, and checkov would send its findings with some.
    environment = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ
    }
    command = [str(TOOLS / "bin" / tool), *arguments]
    return subprocess.run(command, cwd=bundle.REPOSITORY, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
