"""The rules of the house, each with its reason in the message."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ROOMS = (
    *("domain", "aws", "pages", "batch", "functions", "serving", "training", "infra", "console"),
    *("cli",),
    *("benchmarks", "tests"),
)
PRODUCT = ROOMS[:10]
HANDLERS = ("on_upload", "on_folder", "on_page", "on_schedule")

SERVING_IN_TRAINING = {
    *("serving.preprocess", "serving.files", "serving.networks", "serving.archive"),
    *("serving.decoding", "serving.engines", "serving.neighbours"),
}
"""What decides pixels and scores: training shares it with the server."""

CONFIG = {"domain", "training.config"}
DATA = CONFIG | SERVING_IN_TRAINING | {"training.distributed", "training.data"}
MODEL = DATA | {"training.model"}
EVALUATION = MODEL | {"training.evaluation"}
REPORTS = EVALUATION | {"pages", "training.findings", "training.reports"}
CONTEXT = CONFIG | {"training.distributed", "training.context"}
DEBUGGER = CONTEXT | {"pages"}
LOOP = REPORTS | {"training.context", "training.debugger", "training.profiler"}
MAY_IMPORT: dict[str, set[str]] = {
    "domain": set(),
    "aws": {"domain"},
    "pages": {"domain"},
    "batch": {"domain", "aws", "pages"},
    "functions": {"domain", "aws", "batch"},
    "serving": {"domain"},
    "training.config": CONFIG,
    "training.distributed": CONFIG,
    "training.launcher": CONFIG,
    "training.context": CONFIG | {"training.distributed"},
    "training.data": DATA,
    "training.model": MODEL,
    "training.findings": MODEL | {"training.findings"},
    "training.evaluation": EVALUATION,
    "training.reports": REPORTS,
    "training.debugger": DEBUGGER,
    "training.profiler": DEBUGGER | {"training.data", "training.debugger"},
    "training.loop": LOOP,
    "training.train": LOOP | {"training.loop", "training.launcher"},
    "training.managed_debugger": DEBUGGER | {"training.debugger"},
    "training.launch": (REPORTS | {"aws", "functions", "infra", "training.managed_debugger"})
    - {"pages", "training.distributed", "training.findings"},
    "infra": {"domain", "aws", "pages", "batch", "functions"},
    "console": {
        *("domain", "aws", "pages", "batch", "functions", "infra"),
        *("training.config", "training.launch"),
    },
    "cli": {
        *("domain", "aws", "console", "infra"),
        *("training.config", "training.data", "training.findings", "training.launch"),
        "training.model",
    },
}
"""Packages, or modules of packages, that each package may import beside itself."""

MAY_USE: dict[str, set[str]] = {
    "domain": set(),
    "aws": {"botocore"},
    "pages": {"jinja2", "markupsafe"},
    "batch": {"botocore", "markupsafe"},
    "functions": {"boto3", "botocore", "aws_lambda_powertools"},
}
"""All that the bundle may need beyond the standard library."""

PERSONS = {"boto3", "botocore", "sagemaker", "rich"}
"""What only a person's machine has, and never the container."""

MAY_NOT_USE: dict[str, set[str]] = {
    "serving": PERSONS | {"aws_lambda_powertools"},
    "training": {"aws_lambda_powertools"},
    **dict.fromkeys((row for row in MAY_IMPORT if row.startswith("training.")), PERSONS),
    "training.launch": {"aws_lambda_powertools"},
    "training.managed_debugger": {"boto3", "rich"},
    "infra": {"torch", "torchvision", "sagemaker", "aws_lambda_powertools"},
}

SPEAK_SAGEMAKER = ("training/launch/", "training/managed_debugger/request.py")
DOORS = (
    "serving/__main__.py",
    "training/train.py",
    "training/launch/",
    "console/actions/worker.py",
)
READ_THE_ENVIRONMENT = ("functions/runtime.py", "infra/", "benchmarks/", "cli/", *DOORS)

OUTERMOST_DOORS = {"cli/errors.py", "serving/app.py", "serving/batcher.py", "training/train.py"}
# A rule that breaks must not end the training.
OUTERMOST_DOORS |= {"training/debugger/evaluator.py"}
# A thread that repeats work: its end would be heard by nobody.
OUTERMOST_DOORS |= {"console/web/events.py"}

HEAVY = {"torch", "torchvision", "numpy", "PIL", "sagemaker", "pandas", "smdebug", "pydantic"}

MODULES_BEYOND_BOTO3 = 212
MODULES_SIDE_BY_SIDE = 15


@cache
def sources(*rooms: str) -> tuple[Path, ...]:
    return tuple(path for room in rooms for path in sorted((REPOSITORY / room).rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def imports(path: Path) -> Iterator[str]:
    """What a file imports, wherever in it; `from unittest import mock` is `unittest.mock`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}: relative imports hide which room is meant"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(module: str, allowed: set[str]) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in allowed)


def is_a_library(module: str) -> bool:
    top = module.partition(".")[0]
    return top not in sys.stdlib_module_names and not top.startswith(("types_boto3", *ROOMS))


def none(offenders: list[str], reason: str) -> None:
    assert not offenders, f"{reason}:\n" + "\n".join(sorted(set(offenders)))


def package_of(path: Path) -> str:
    """The longest row of MAY_IMPORT that holds this file; its top package where none does."""
    module = name(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    rows = [row for row in MAY_IMPORT if is_within(module, {row})]
    return max(rows, key=len, default=module.partition(".")[0])


def test_packages_import_only_what_lies_below_them() -> None:
    offenders = [
        f"{name(path)} imports {module}"
        for path in sources(*PRODUCT)
        if name(path) != "training/__init__.py"
        for module in imports(path)
        if module.partition(".")[0] in ROOMS
        if not is_within(module, MAY_IMPORT.get(package_of(path), set()) | {package_of(path)})
    ]
    none(offenders, "arrows point one way, so that a package can be read, tested and shipped alone")


KNOW_THE_LOCAL_CLOUD = ("infra/local/", "cli/", "console/")


def test_only_what_a_person_starts_knows_that_a_cloud_is_local() -> None:
    offenders = [
        f"{name(path)} imports {module}"
        for path in sources(*PRODUCT)
        if not name(path).startswith(KNOW_THE_LOCAL_CLOUD)
        for module in imports(path)
        if is_within(module, {"infra.local"})
    ]
    none(offenders, "the product speaks AWS only: what differs on one machine is an argument")


def test_every_permission_to_import_is_used() -> None:
    """A row that allows more than is needed hides the next arrow that points up."""
    used: dict[str, set[str]] = {}
    for path in sources(*PRODUCT):
        used.setdefault(package_of(path), set()).update(imports(path))
    offenders = [
        f"{row} never imports {allowed}"
        for row, permissions in MAY_IMPORT.items()
        for allowed in permissions
        if allowed in MAY_IMPORT and allowed != row
        if not any(is_within(module, {allowed}) for module in used[row])
        if row in (*PRODUCT, "training.launch") and row not in ("domain", "serving", "training")
    ]
    none(offenders, "remove the permission")


def test_no_modules_import_each_other() -> None:
    """Deferred imports count: a circle that works by luck of the order is still a circle."""
    files = {
        name(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path
        for path in sources(*PRODUCT)
    }
    arrows = {
        module: {
            target
            for imported in imports(path)
            for target in (imported, imported.rpartition(".")[0])
            if target in files and target != module
        }
        for module, path in files.items()
    }
    finished: set[str] = set()
    circles: list[str] = []

    def walk(module: str, trail: tuple[str, ...]) -> None:
        if module in trail:
            circles.append(" -> ".join((*trail[trail.index(module) :], module)))
        elif module not in finished:
            for target in arrows[module]:
                walk(target, (*trail, module))
            finished.add(module)

    for module in files:
        walk(module, ())
    none(circles, "neither can be read, tested or moved without the other")


def test_a_folder_can_be_taken_in_at_a_glance() -> None:
    folders: dict[Path, int] = {}
    for path in sources(*ROOMS):
        if path.name != "__init__.py":
            folders[path.parent] = folders.get(path.parent, 0) + 1
    offenders = [
        f"{folder.relative_to(REPOSITORY)}: {count} modules"
        for folder, count in folders.items()
        if count > MODULES_SIDE_BY_SIDE
    ]
    none(offenders, f"at most {MODULES_SIDE_BY_SIDE} modules side by side: make a package of some")


def test_the_bundle_stays_small_by_using_little() -> None:
    offenders = [
        f"{name(path)} uses {module}"
        for room, allowed in MAY_USE.items()
        for path in sources(room)
        for module in imports(path)
        if is_a_library(module) and not is_within(module, allowed)
    ]
    none(offenders, "every library in the bundle is paid for at each cold start")


def test_rooms_keep_to_their_own_services() -> None:
    offenders = [
        f"{name(path)} uses {module}"
        for room, refused in MAY_NOT_USE.items()
        for path in sources(*PRODUCT)
        if is_within(name(path).removesuffix(".py").replace("/", "."), {room})
        if room in (package_of(path), package_of(path).partition(".")[0])
        for module in imports(path)
        if is_within(module, refused)
    ]
    none(offenders, "the container knows no AWS, and the laptop's cloud no model")


def test_only_the_launchers_speak_to_the_sagemaker_sdk() -> None:
    offenders = [
        name(path)
        for path in sources(*PRODUCT)
        if not name(path).startswith(SPEAK_SAGEMAKER)
        and any(is_within(module, {"sagemaker"}) for module in imports(path))
    ]
    none(offenders, "the SDK takes seconds to import and changes its ways between versions")


LOOK_INTO_ERRORS = ("aws/errors.py", "batch/unreadable.py", "infra/sentences.py", "infra/local/")


def test_what_an_error_of_aws_means_is_said_in_one_place() -> None:
    offenders = [
        f"{name(path)}:{node.lineno} {ast.unparse(node)}"
        for path in sources(*PRODUCT)
        if not name(path).startswith(LOOK_INTO_ERRORS)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "response"
    ]
    none(offenders, "use aws.errors: two places that know AWS's codes come to differ")


HOLD_FRACTIONS = {"batch/lease.py", "batch/jobs/slots.py"}
HOLD_FRACTIONS |= {"batch/planning/slice.py", "batch/planning/walk.py"}


def test_times_are_written_and_read_in_one_place() -> None:
    offenders = [
        f"{name(path)}:{node.lineno}"
        for path in sources(*PRODUCT)
        if name(path) not in {"domain/timestamps.py", *HOLD_FRACTIONS}
        if not name(path).startswith("infra/local/")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("isoformat", "fromisoformat", "strftime")
    ]
    none(offenders, "use domain.timestamps: people and scripts compare them as text")


MANAGED_DEBUGGER = ("infra.local.sagemaker.debugger", "training.managed_debugger")
ITS_HOOKS = {
    ("training/launch/job.py", "training.managed_debugger"),
    ("infra/local/container_image.py", "training.managed_debugger"),
    ("infra/local/sagemaker/training/request.py", "infra.local.sagemaker.debugger"),
    ("infra/local/sagemaker/training/run.py", "infra.local.sagemaker.debugger"),
}
"""Which module uses which of the two folders."""


def test_the_managed_debugger_can_be_deleted() -> None:
    """Two folders, used in the four places that docs/reference/training.md names."""
    uses = set()
    for path in sources(*PRODUCT):
        texts = {
            node.value
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        for folder in MANAGED_DEBUGGER:
            if name(path).startswith(folder.replace(".", "/")):
                continue
            if any(is_within(text, {folder}) for text in (*imports(path), *texts)):
                uses.add((name(path), folder))
    assert uses == ITS_HOOKS
    documented = (REPOSITORY / "docs/reference/training.md").read_text()
    assert all(file in documented for file, _ in ITS_HOOKS)


def loaded_by(*statements: str) -> set[str]:
    """The modules of a fresh interpreter without any environment, after these statements."""
    script = f"import sys, json; sys.path.insert(0, {str(REPOSITORY)!r})\n"
    script += "\n".join([*statements, "print(json.dumps(sorted(sys.modules)))"])
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@cache
def boto3_alone() -> frozenset[str]:
    return frozenset(loaded_by("import boto3"))


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_is_light_and_needs_no_environment_to_be_imported(handler: str) -> None:
    loaded = loaded_by("import boto3", f"import functions.{handler}")
    tops = {module.partition(".")[0] for module in loaded}
    assert not tops & (HEAVY | {"serving", "training", "infra"}), "a cold start waits for them"
    more = loaded - boto3_alone()
    assert len(more) <= MODULES_BEYOND_BOTO3, (
        f"{len(more)} modules beyond boto3's: a cold start imports every one of them"
    )


def test_no_module_is_named_like_the_standard_librarys() -> None:
    offenders = [
        name(path)
        for path in sources(*ROOMS)
        if (path.stem in sys.stdlib_module_names and path.stem != "__init__")
        or (path.stem == "__init__" and path.parent.name in sys.stdlib_module_names)
    ]
    none(offenders, "run as a script, its folder comes first, and another's import finds ours")


def test_tests_are_built_on_fakes_and_patch_nothing() -> None:
    offenders = [
        f"{name(path)}: {module}"
        for path in sources("tests")
        for module in imports(path)
        if is_within(module, {"unittest.mock", "mock", "pytest_mock"})
    ]
    offenders += [
        f"{name(path)}:{node.lineno} {ast.unparse(node)}"
        for path in sources("tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in ("monkeypatch.setattr", "mock.patch")
    ]
    none(offenders, "a patch tests how the code is written; a fake tests what it does")


def test_the_environment_is_read_at_the_doors_only() -> None:
    offenders = [
        f"{name(path)}:{node.lineno}"
        for path in sources(*PRODUCT)
        if not name(path).startswith(READ_THE_ENVIRONMENT)
        for node in ast.walk(tree(path))
        if (
            (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"))
            and ast.unparse(node.value) == "os"
        )
        or (
            (isinstance(node, ast.ImportFrom) and node.module == "os")
            and {alias.name for alias in node.names} & {"environ", "getenv"}
        )
    ]
    none(offenders, "settings are one frozen value, read once and handed in")


def test_everything_is_caught_at_the_outermost_doors_only() -> None:
    offenders = [
        f"{name(path)}:{node.lineno}"
        for path in sources(*PRODUCT)
        if name(path) not in OUTERMOST_DOORS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) == "Exception")
    ]
    none(offenders, "catch only what you can turn into an answer; the queue retries the rest")


TALK = tuple(f"training/launch/{name}.py" for name in ("job", "promote", "tune", "watching/watch"))
TALK += ("training/evaluation/archive.py", "infra/stacks/deploy.py", "infra/stacks/remove.py")
"""What prints to a person's terminal beside `cli/`, whose own output module escapes everything."""


def test_no_terminal_obeys_what_a_stranger_wrote() -> None:
    offenders = []
    for path in (REPOSITORY / file for file in TALK):
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("print"):
                continue
            said = ast.unparse(node.args[0]) if node.args else "''"
            is_safe = said.startswith(("visible(", "json.dumps(", "tune_watch.table("))
            names = [each for each in ast.walk(node.args[0]) if isinstance(each, ast.Name)]
            figures = all(each.id in ("stage", "job") for each in names)
            if not is_safe and not figures:
                offenders.append(f"{name(path)}:{node.lineno} {said[:60]}")
    none(offenders, "labels, keys, logs and errors may hold escape sequences: use visible()")
