"""A network as OpenVINO's two files, and their entry on a model card; does not import torch."""

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

from domain.archive import TOPOLOGY, VALUES
from domain.model import Compiled, ModelCard, Precision, Verdict
from serving.engines.openvino import openvino

Files = dict[str, bytes]


def add_to_card(
    card: ModelCard, precision: Precision, files: Files, *verdicts: Verdict
) -> ModelCard:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return replace(card, openvino=Compiled(precision, digests, verdicts))


def save_network(network: openvino.Model) -> Files:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(network, path, compress_to_fp16=False)
        return {TOPOLOGY: path.read_bytes(), VALUES: path.with_suffix(".bin").read_bytes()}


def rename_layers(model: openvino.Model, name: str) -> openvino.Model:
    """OpenVINO numbers layers per process; the same network must be the same file."""
    model.set_friendly_name(name)
    for number, layer in enumerate(model.get_ordered_ops()):
        layer.set_friendly_name(f"{layer.get_type_name()}_{number}")
    return model
