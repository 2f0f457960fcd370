"""Validate requests and build responses with botocore's service model, with AWS's messages."""

import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import groupby
from typing import Any

import botocore.session
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StringShape,
    StructureShape,
)
from botocore.validate import ParamValidator

from infra.local.sagemaker.core.errors import ValidationException

NUMBERS = frozenset({"integer", "long", "float", "double"})
SIZED = frozenset({"string", "list", "map"})

FROM_JAVA = {
    r"\p{Alnum}": "a-zA-Z0-9",
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010FFFF",
    r"\z": r"\Z",
    "*)${1,": "){1,",  # an error in the model, which means a repetition
}


@cache
def service() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker")


def operation(name: str) -> OperationModel:
    return service().operation_model(name)


def validate(name: str, request: Mapping[str, Any]) -> None:
    """Raises ValidationException with every member that the model does not allow."""
    shape = operation(name).input_shape
    if shape is None:
        return
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        raise ValidationException(report.generate_report())
    broken = [
        f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"
        for path, value, constraint in _violations(shape, request, "")
    ]
    if broken:
        count = f"{len(broken)} validation error{'s' * (len(broken) > 1)} detected"
        raise ValidationException(f"{count}: {'; '.join(broken)}")


def answer(name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The members of `record` that the operation's output has."""
    shape = operation(name).output_shape
    return _cut_structure(shape, record) if shape else {}


def summary(shape_name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The members of `record` that the list item's shape has."""
    shape = service().shape_for(shape_name)
    if not isinstance(shape, StructureShape):
        raise TypeError(f"{shape_name} is not a structure")
    return _cut_structure(shape, record)


def _cut_structure(shape: StructureShape, record: Mapping[str, Any]) -> dict[str, Any]:
    """Empty structures are omitted: the SageMaker SDK rejects `{}` if members are required."""
    members = {
        name: _cut(member, record[name])
        for name, member in shape.members.items()
        if record.get(name) is not None
    }
    return {name: value for name, value in members.items() if value != {}}


def _cut(shape: Shape, value: Any) -> Any:
    match shape:
        case StructureShape():
            return _cut_structure(shape, value)
        case ListShape():
            return [_cut(shape.member, item) for item in value]
        case _:
            return value


Violation = tuple[str, object, str]


def _violations(shape: Shape, value: Any, path: str) -> Iterator[Violation]:
    """Violations that ParamValidator does not detect: enumerations, patterns, and upper bounds."""
    for constraint in _violated(shape, value):
        yield path, value, constraint
    for inner_shape, inner_value, inner_path in _inside(shape, value, path):
        yield from _violations(inner_shape, inner_value, inner_path)


def _inside(shape: Shape, value: Any, path: str) -> Iterator[tuple[Shape, Any, str]]:
    """The parts of a value, with paths as AWS writes them: `productionVariants.1.member`."""
    match shape:
        case StructureShape():
            for name, member in value.items():
                inner = name[0].lower() + name[1:]
                yield shape.members[name], member, f"{path}.{inner}" if path else inner
        case ListShape():
            for number, item in enumerate(value, 1):
                yield shape.member, item, f"{path}.{number}.member"
        case MapShape():
            for key, item in value.items():
                yield shape.key, key, path
                yield shape.value, item, f"{path}.{key}.member"


def _violated(shape: Shape, value: Any) -> Iterator[str]:
    bound = shape.metadata.get("max")
    if bound is not None and shape.type_name in NUMBERS and value > bound:
        yield f"Member must have value less than or equal to {bound}"
    if bound is not None and shape.type_name in SIZED and len(value) > bound:
        yield f"Member must have length less than or equal to {bound}"
    if isinstance(shape, StringShape):
        if shape.enum and value not in shape.enum:
            yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        pattern = shape.metadata.get("pattern")
        if pattern and not _pattern(pattern).fullmatch(value):
            yield f"Member must satisfy regular expression pattern: {pattern}"


@cache
def _pattern(java: str) -> re.Pattern[str]:
    """Compile a Java pattern. Python has no Unicode categories, so each is replaced by its ranges
    of characters.
    """
    python = re.sub(r"\\p\{([LMNPSZ])\}", lambda category: _ranges()[category[1]], java)
    for theirs, ours in FROM_JAVA.items():
        python = python.replace(theirs, ours)
    return re.compile(python)


@cache
def _ranges() -> dict[str, str]:
    """The characters of each general category (L, M, N, P, S, Z …), as the content of a character
    class.
    """
    ranges: dict[str, list[str]] = {}
    every = range(sys.maxunicode + 1)
    for category, group in groupby(every, lambda code: unicodedata.category(chr(code))[0]):
        codes = list(group)
        ranges.setdefault(category, []).append(f"\\U{codes[0]:08x}-\\U{codes[-1]:08x}")
    return {category: "".join(group_ranges) for category, group_ranges in ranges.items()}
