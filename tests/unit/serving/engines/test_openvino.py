"""The OpenVINO engine on a real network: importing the tools that make one takes seconds."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving.archive import Archive, ModelLoadError, read
from serving.engines.outputs import concatenate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    from tests.support.builders.models import random_model

    folder = tmp_path_factory.mktemp("openvino")
    return read(folder / "model", random_model(folder, "cat", "dog", "bird"))


def test_a_batch_of_any_size_is_answered_image_by_image(archive: Archive) -> None:
    from serving.engines.openvino import OpenVino

    assert archive.card.openvino is not None
    engine = OpenVino(archive, archive.card.openvino, threads=2, max_batch=4)
    pixels = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), np.uint8)
    outputs = engine(pixels, False)
    one_by_one = concatenate(engine(pixels[at : at + 1], True) for at in range(7))
    assert outputs.features is not None
    assert one_by_one.features is not None
    assert (outputs.scores.shape, outputs.features.shape) == ((7, 3), (7, 1280))
    assert np.allclose(outputs.scores.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(outputs.scores, one_by_one.scores, atol=1e-5)
    assert np.allclose(outputs.features, one_by_one.features, atol=1e-4)


def test_an_archive_of_one_output_answers_as_before(archive: Archive, tmp_path: Path) -> None:
    from serving.engines.openvino import OpenVino, openvino
    from training.model.openvino_files import add_to_card, save_network
    from training.model.quantise import served_engine

    assert archive.card.openvino is not None
    network = openvino.Core().read_model(*archive.openvino(archive.card.openvino))
    network = openvino.Model(network.outputs[:1], network.get_parameters())
    files = save_network(network)
    old = served_engine(add_to_card(archive.card, "fp32", files), files)
    new = OpenVino(archive, archive.card.openvino, threads=1, max_batch=4)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    assert old(pixels, True).features is None
    assert np.array_equal(old(pixels, True).scores, new(pixels, True).scores)


@pytest.mark.parametrize("shape", [[1, -1], [-1], [-1, 3, 32, 32]])
def test_features_that_are_not_a_row_for_each_image_are_refused(
    archive: Archive, shape: list[int]
) -> None:
    from serving.engines.openvino import FEATURES, openvino
    from training.model.openvino_files import add_to_card, save_network
    from training.model.quantise import served_engine

    assert archive.card.openvino is not None
    network = openvino.Core().read_model(*archive.openvino(archive.card.openvino))
    odd = openvino.opset13.reshape(network.get_parameters()[0], np.array(shape), special_zero=True)
    odd.output(0).get_tensor().set_names({FEATURES})
    network = openvino.Model([network.outputs[0], odd.output(0)], network.get_parameters())
    files = save_network(network)
    with pytest.raises(ModelLoadError, match=r"its features are"):
        served_engine(add_to_card(archive.card, "fp32", files), files)


def test_a_batch_is_run_by_the_thread_that_asks(archive: Archive) -> None:
    from serving.engines.openvino import OpenVino

    assert archive.card.openvino is not None
    engine = OpenVino(archive, archive.card.openvino, threads=2, max_batch=4)
    pixels = np.zeros((4, 32, 32, 3), np.uint8)
    process, thread = time.process_time(), time.thread_time()
    for _ in range(200):
        engine(pixels, False)
    process, thread = time.process_time() - process, time.thread_time() - thread
    assert thread > 0.9 * process, (
        "OpenVINO hands batches to threads of its own: the system then leaves a core idle while "
        "two of them share the other (four clients got 77 images/s where they now get 87)"
    )


FIRST_TOGETHER = """
import sys
from threading import Barrier, Thread
from serving.engines.openvino import openvino

PORT = '<port id="0" precision="U8"><dim>1</dim></port>'
NETWORK = f'''<net name="n" version="11"><layers>
<layer id="0" name="in" type="Parameter" version="opset1"><data shape="1" element_type="u8"/>
<output>{PORT}</output></layer>
<layer id="1" name="out" type="Result" version="opset1"><input>{PORT}</input></layer>
</layers><edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges></net>'''

sys.setswitchinterval(1e-6)
core = openvino.Core()
network = core.read_model(NETWORK.encode())
compiled = [core.compile_model(network, "CPU") for _ in range(8)]
inputs = [each.create_infer_request().get_input_tensor() for each in compiled]
together = Barrier(len(inputs))

def look(tensor):
    together.wait()
    tensor.data

threads = [Thread(target=look, args=(tensor,)) for tensor in inputs]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_are_the_first_to_hand_over_arrays_do_not_wait_for_each_other() -> None:
    try:
        subprocess.run([sys.executable, "-c", FIRST_TOGETHER], check=True, timeout=60)
    except subprocess.TimeoutExpired:
        pytest.fail(
            "OpenVINO looks for NumPy when the first array is handed over; two threads that are "
            "the first stand still for ever, and with them a server that starts: one in twenty"
        )


def test_files_that_are_not_the_cards_are_refused(archive: Archive) -> None:
    from serving.engines.openvino import OpenVino

    compiled = archive.card.openvino
    assert compiled is not None
    other = replace(compiled, files=dict.fromkeys(compiled.files, "0" * 64))
    with pytest.raises(ModelLoadError, match="its card says"):
        OpenVino(archive, other, threads=1, max_batch=1)
    with pytest.raises(ModelLoadError, match="names other files"):
        OpenVino(archive, replace(compiled, files={}), threads=1, max_batch=1)
