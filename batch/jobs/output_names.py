"""Which image an output of a transform job belongs to, by the output's name.

SageMaker's reference says "with an .out suffix in a corresponding subfolder", but its example drops
a folder (TransformOutput.S3OutputPath: the output of `input-name-prefix/dataset01/data.csv` is
`input-name-prefix/data.csv.out`). We expect the key after the manifest's prefix. If a page finds no
output under that name, or one that could be another image's, all outputs of the job decide.
"""

import json
import logging
from collections.abc import Callable, Collection

from aws.bucket import Bucket, Listed

SUFFIX = ".out"
NAMES_IN_LOG = 3

logger = logging.getLogger(__name__)


def beyond_prefix(prefix: str, key: str) -> str:
    """The expected name: `day/c.jpg` of `inbox/trip/day/c.jpg` with the prefix `inbox/trip/`."""
    return key.removeprefix(prefix)


def whole_key(prefix: str, key: str) -> str:
    """`inbox/trip/day/c.jpg`."""
    return key


def with_folder_of_prefix(prefix: str, key: str) -> str:
    """`trip/day/c.jpg`."""
    return f"{_last_folder(prefix)}/{key.removeprefix(prefix)}"


def in_last_folder(prefix: str, key: str) -> str:
    """`day/c.jpg`."""
    folder, _, name = key.rpartition("/")
    return f"{_last_folder(f'{folder}/')}/{name}"


def in_folder_of_prefix(prefix: str, key: str) -> str:
    """`trip/c.jpg`, as in the reference's example."""
    return f"{_last_folder(prefix)}/{key.rpartition('/')[2]}"


VARIANTS: tuple[Callable[[str, str], str], ...] = (
    beyond_prefix,
    whole_key,
    with_folder_of_prefix,
    in_last_folder,
    in_folder_of_prefix,
)


def is_contested(bucket: Bucket, prefix: str, matched: Collection[str], manifest: str) -> bool:
    """Whether an output under the expected name of one of the `matched` images could be that of
    another image of the job, under another variant.

    Costs one GET, and only where a name has such a form.
    """
    names = {beyond_prefix(prefix, key): key for key in matched}
    beginnings = (prefix, f"{_last_folder(prefix)}/")
    if not any(name.count("/") == 1 or name.startswith(beginnings) for name in names):
        return False
    for key in _keys(bucket, prefix, manifest):
        for name_of in VARIANTS:
            if names.get(name_of(prefix, key), key) != key:
                return True
    return False


def find_by_all(bucket: Bucket, prefix: str, output: str, manifest: str) -> dict[str, Listed]:
    """The outputs of a job by image key, decided from all of its outputs.

    A job names its outputs by one variant: those that do not explain every output are left out. An
    output is used only if it can belong to exactly one image under the others, so that no image
    gets the answer of another one. If no variant explains all outputs, none is used.
    """
    listing = {listed.key: listed for listed in bucket.walk(output)}
    keys = _keys(bucket, prefix, manifest)
    owners: dict[str, set[str]] = {name: set() for name in listing}
    for name_of in VARIANTS:
        names = {key: output + name_of(prefix, key) + SUFFIX for key in keys}
        if owners.keys() <= set(names.values()):
            for key, name in names.items():
                if name in owners:
                    owners[name].add(key)
    return {min(owner): listing[name] for name, owner in owners.items() if len(owner) == 1}


def find_elsewhere(bucket: Bucket, prefix: str, output: str, manifest: str) -> dict[str, Listed]:
    """The outputs of a job by image key if they are not named as expected; otherwise empty.

    Costs one LIST if the job wrote nothing, and one more GET if the names are as expected.
    """
    first = bucket.page(output)
    keys = _keys(bucket, prefix, manifest) if first else []
    expected = {output + beyond_prefix(prefix, key) + SUFFIX for key in keys}
    if all(listed.key in expected for listed in first):
        return {}
    decided = find_by_all(bucket, prefix, output, manifest)
    logger.warning(
        "a transform job's outputs are not named as expected: %s (%s)",
        ", ".join(listed.key for listed in first[:NAMES_IN_LOG]),
        "understood" if decided else "not understood",
    )
    return decided


def _keys(bucket: Bucket, prefix: str, manifest: str) -> list[str]:
    """The keys in a manifest; none if it is gone."""
    stored = bucket.read(manifest)
    return [] if stored is None else [prefix + name for name in json.loads(stored.body)[1:]]


def _last_folder(prefix: str) -> str:
    return prefix.rstrip("/").rpartition("/")[2]
