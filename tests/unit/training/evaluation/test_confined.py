"""Whatever a model does to the process that judges it, nobody is harmed, and a sentence says so."""

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from domain.archive import NEIGHBOURS, TOPOLOGY, VALUES
from domain.model import Compiled, ModelCard, Preprocessing, UnknownRule
from serving.archive import ModelLoadError
from tests.support.worlds.hostile_judge import ACTS
from training.data import dataset
from training.data.dataset import Example
from training.evaluation import confined
from training.model.package import Files, pack

LABELS = ("cat", "dog")
WEIGHTS = b"weights"
CARD = ModelCard(
    name="pets",
    architecture="efficientnet_lite0",
    labels=LABELS,
    preprocessing=Preprocessing(36, 32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    weights_sha256=hashlib.sha256(WEIGHTS).hexdigest(),
)
SECONDS = 2.0
PATIENCE = 60.0
"""A loaded machine starts Python in seconds; what hangs would take ten minutes."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(4):
        path = tmp_path / "images" / LABELS[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (60 * number, 0, 0)).save(path)
    return tmp_path / "images"


def examples(root: Path) -> list[Example]:
    classes = {
        label: tuple(f"{label}/{p.name}" for p in (root / label).iterdir()) for label in LABELS
    }
    found = dataset.examine(root, classes, LABELS, lambda: None)
    return [each for each in found if isinstance(each, Example)]


def judge(root: Path, archive: Path, seconds: float, program: str) -> str:
    """The sentence of the refusal."""
    with pytest.raises(ModelLoadError) as refused:
        confined.evaluate(archive, root, examples(root), LABELS, seconds, program)
    assert str(refused.value).isprintable(), "a terminal would obey it"
    return str(refused.value)


def stand_in(root: Path, act: str, seconds: float = SECONDS) -> str:
    archive = root.parent / "model.tar.gz"
    pack(replace(CARD, name=act), WEIGHTS, archive)
    return judge(root, archive, seconds, "tests.support.worlds.hostile_judge")


@pytest.mark.parametrize("act", ACTS)
def test_a_judge_that_misbehaves_is_a_refusal_with_a_sentence(root: Path, act: str) -> None:
    began = time.monotonic()
    sentence = stand_in(root, act)
    assert time.monotonic() - began < PATIENCE
    assert len(sentence) < 600
    expected = {"crash": "SIGSEGV", "exit": "It said:", "error": "active: pets:1"}
    killed = ("hang", "noise", "background")
    assert expected.get(act, "killed" if act in killed else "") in sentence


def test_nothing_of_a_judge_that_was_killed_is_left(root: Path) -> None:
    stand_in(root, "background")
    left = [
        process
        for process in Path("/proc").glob("[0-9]*")
        if b"time.sleep(600)" in _command(process) and _parent_is_gone(process)
    ]
    assert not left


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def _parent_is_gone(process: Path) -> bool:
    try:
        return int((process / "stat").read_text().rpartition(") ")[2].split()[1]) == 1
    except OSError:
        return False


@pytest.fixture
def listener(root: Path) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (root.parent / "port").write_text(str(server.getsockname()[1]))
        yield


@pytest.mark.usefixtures("listener")
def test_a_process_that_a_model_took_over_can_do_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Confined by the product's own confine(), as far as this kernel has the means."""
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SECRET"):
        monkeypatch.setenv(name, "x")
    (root.parent / "outside").mkdir()
    (root.parent / "outside" / "secret").write_text("mine")
    with socket.socket(socket.AF_UNIX) as agent:
        with monkeypatch.context() as there:
            there.chdir(root.parent / "outside")
            agent.bind("agent")
        agent.listen()
        found = json.loads(stand_in(root, "confined", seconds=60))
    if "Landlock" in found["lacking"]:
        pytest.skip("this kernel has no Landlock: files are not kept from the process")
    if "a network of its own" in found["lacking"]:
        found["done"] = [each for each in found["done"] if each != "connect"]
    assert found["done"] == []
    assert sorted(path.name for path in (root.parent / "outside").iterdir()) == ["agent", "secret"]
    assert not (root / "new").exists()


def compiled(folder: Path, layers: bytes, values: bytes) -> Path:
    files: Files = {TOPOLOGY: layers, VALUES: values}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    card = replace(CARD, openvino=Compiled("fp32", digests))
    pack(card, WEIGHTS, folder / "model.tar.gz", files)
    return folder / "model.tar.gz"


LAYER = '<layer id="{}" name="{}" type="{}" version="{}">{}</layer>'
INPUT = LAYER.format(
    0,
    "x",
    "Parameter",
    "opset1",
    '<data shape="?,3,32,32" element_type="f32"/><output><port id="0" precision="FP32">'
    "<dim>-1</dim><dim>3</dim><dim>32</dim><dim>32</dim></port></output>",
)


def network(layers: str, edges: str = "", head: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?>{head}<net name="n" version="11"><layers>{INPUT}{layers}</layers>'
        f"<edges>{edges}</edges></net>"
    ).encode()


def constant(offset: int, size: int, shape: str) -> str:
    dims = "".join(f"<dim>{each}</dim>" for each in shape.split(","))
    return LAYER.format(
        1,
        "c",
        "Const",
        "opset1",
        f'<data element_type="f32" offset="{offset}" shape="{shape}" size="{size}"/>'
        f'<output><port id="0" precision="FP32">{dims}</port></output>',
    ) + LAYER.format(
        2,
        "r",
        "Result",
        "opset1",
        f'<input><port id="0" precision="FP32">{dims}</port></input>',
    )


EDGE = '<edge from-layer="1" from-port="0" to-layer="2" to-port="0"/>'
LAUGHS = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(12))
TOPOLOGIES: dict[str, bytes] = {
    "nothing": b"",
    "no XML": b"\0" * 1000,
    "entity of a file": network(
        "&x;", head='<!DOCTYPE n [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    ),
    "billion laughs": network("&l12;", head=f'<!DOCTYPE n [<!ENTITY l0 "ha">{LAUGHS}]>'),
    "deep": b"<net>" + b"<layers>" * 1_000_000,
    "values beyond the file": network(constant(2**40, 4, "1"), EDGE),
    "values before the file": network(constant(-8, 4, "1"), EDGE),
    "values larger than the file": network(constant(0, 2**40, f"{2**38}"), EDGE),
    "a shape that overflows": network(constant(0, 4, f"{2**32},{2**32}"), EDGE),
    "an unknown operation": network(LAYER.format(1, "c", "Evil", "extension", "<data/>")),
    "a plugin": network(LAYER.format(1, "c", "Evil", "/tmp/evil.so", "<data/>")),
    "another file's values": network(
        constant(0, 4, "1").replace("<data ", '<data path="/etc/passwd" ')
    ),
    "no result": network(""),
}


@pytest.mark.parametrize("layers", TOPOLOGIES.values(), ids=TOPOLOGIES.keys())
def test_a_hostile_topology_is_refused_by_a_process_of_its_own(root: Path, layers: bytes) -> None:
    archive = compiled(root.parent, layers, bytes(4))
    before = set(root.parent.rglob("*"))
    sentence = judge(root, archive, 60, confined.PROGRAM)
    assert "OpenVINO cannot load the model" in sentence
    assert set(root.parent.rglob("*")) == before


def test_neighbours_of_another_size_are_refused_before_anything_serves_them(root: Path) -> None:
    """Else an endpoint is made, which cannot start."""
    rows = bytes(12)
    rule = UnknownRule(0.05, 0.5, 1, 19, 5, 3, hashlib.sha256(rows).hexdigest())
    archive = root.parent / "model.tar.gz"
    pack(replace(CARD, unknown=rule), WEIGHTS, archive, {NEIGHBOURS: rows})
    assert "has 12 bytes, but its card says 5 x 3" in judge(root, archive, 60, confined.PROGRAM)


def test_the_process_that_reads_the_model_is_not_this_one(root: Path) -> None:
    """Nothing of the archive but its card is parsed here."""
    archive = compiled(root.parent, b"<net/>", b"")
    ours = threading.active_count(), _mapped()
    judge(root, archive, 60, confined.PROGRAM)
    assert (threading.active_count(), _mapped()) == ours


def _mapped() -> bool:
    return b"libopenvino" in Path("/proc/self/maps").read_bytes()


@pytest.mark.slow
def test_a_good_model_is_judged_as_the_engine_answers(root: Path) -> None:
    import numpy as np

    from domain.model import ModelId
    from serving import archive, preprocess
    from serving.decoding.decode import decode
    from serving.engines.openvino import OpenVino
    from tests.support.builders.models import random_model

    random_model(root.parent / "random", *LABELS)
    own = examples(root)
    card, rows = confined.evaluate(root.parent / "random" / "model.tar.gz", root, own, LABELS)
    assert card.openvino is not None
    promised = ModelId(card.name, 1, card.digest)
    engine = OpenVino(archive.read(root.parent / "random" / "model", promised), card.openvino, 1, 4)
    pixels = np.stack(
        [
            preprocess.crop(
                decode((root / each.path).read_bytes(), 10**6, 36).image, card.preprocessing
            )
            for each in own
        ]
    )
    scores = engine(pixels, True).scores
    assert rows[:, 0].tolist() == [each.label for each in own]
    assert rows[:, 1].tolist() == scores.argmax(1).tolist()
    assert np.allclose(rows[:, 2], scores.max(1), atol=1e-4)
    assert np.allclose(rows[:, 3], scores[np.arange(4), [each.label for each in own]], atol=1e-4)


def test_a_class_that_the_model_does_not_know_is_said_so(root: Path) -> None:
    pack(replace(CARD, labels=("cat", "wolf")), WEIGHTS, root.parent / "model.tar.gz")
    with pytest.raises(
        confined.UnknownLabelsError, match="does not know 1 of the classes, such as dog"
    ):
        confined.evaluate(root.parent / "model.tar.gz", root, examples(root), LABELS)
