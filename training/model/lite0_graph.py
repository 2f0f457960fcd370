"""EfficientNet-Lite0 as OpenVINO's own operators, from its weights as arrays: no torch.

MBConv blocks without squeeze-and-excitation, ReLU6 throughout (TensorFlow's `efficientnet/lite`).
Batch norm is folded into the convolutions, as the converter from PyTorch does.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.engines.openvino import FEATURES, openvino

ops = openvino.opset13

STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
"""Of the sixteen blocks' depthwise convolutions."""

EPSILON = 1e-3
"""Of every batch norm."""

Node = Any
"""A node of OpenVINO's graph; its package brings no types."""

Weights = Mapping[str, NDArray[np.float32]]


def graph(weights: Weights, side: int) -> openvino.Model:
    """From normalised images (N, 3, side, side) to probabilities (N, labels) and features."""
    images = _images(side)
    features = _features(weights, images)
    scores = ops.matmul(features, ops.constant(weights["_fc.weight"]), False, True)
    logits = ops.add(scores, ops.constant(weights["_fc.bias"][np.newaxis]))  # (N, labels)
    probabilities = ops.softmax(logits, 1)
    probabilities.output(0).get_tensor().set_names({"probabilities"})  # else a running number
    features.output(0).get_tensor().set_names({FEATURES})
    return openvino.Model([probabilities, features], [images])


def features_graph(weights: Weights, side: int) -> openvino.Model:
    """From normalised images (N, 3, side, side) to the head's inputs (N, 1280)."""
    images = _images(side)
    return openvino.Model([_features(weights, images)], [images])


def _images(side: int) -> Node:
    return ops.parameter([-1, 3, side, side], np.float32, name="x")


def _features(weights: Weights, images: Node) -> Node:
    x = _relu6(_convolution(weights, "_conv_stem", "_bn0", images, stride=2))
    for number, stride in enumerate(STRIDES):
        x = _block(weights, f"_blocks.{number}.", x, stride)
    x = _relu6(_convolution(weights, "_conv_head", "_bn1", x))
    return ops.reduce_mean(x, np.array([2, 3]), keep_dims=False)  # (N, 1280)


def _block(weights: Weights, name: str, x: Node, stride: int) -> Node:
    """An inverted residual: expand, filter each channel, project."""
    y = x
    if f"{name}_expand_conv.weight" in weights:
        y = _relu6(_convolution(weights, f"{name}_expand_conv", f"{name}_bn0", y))
    y = _relu6(_convolution(weights, f"{name}_depthwise_conv", f"{name}_bn1", y, stride, True))
    y = _convolution(weights, f"{name}_project_conv", f"{name}_bn2", y)
    is_residual = stride == 1 and y.get_output_partial_shape(0) == x.get_output_partial_shape(0)
    return ops.add(y, x) if is_residual else y


def _convolution(
    weights: Weights, name: str, norm: str, x: Node, stride: int = 1, depthwise: bool = False
) -> Node:
    """Padded as TensorFlow's SAME: the odd row and column come last."""
    kernel, shift = _folded(weights, name, norm)
    steps, nothing = [stride, stride], [0, 0]
    if depthwise:
        grouped = ops.constant(kernel[:, np.newaxis])  # (C, 1, 1, k, k)
        y = ops.group_convolution(x, grouped, steps, nothing, nothing, [1, 1], "same_upper")
    else:
        y = ops.convolution(x, ops.constant(kernel), steps, nothing, nothing, [1, 1], "same_upper")
    return ops.add(y, ops.constant(shift[np.newaxis, :, np.newaxis, np.newaxis]))


def _folded(
    weights: Weights, name: str, norm: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The kernel and the shift that a convolution and its batch norm are together."""
    gamma, beta = weights[f"{norm}.weight"], weights[f"{norm}.bias"]
    mean, variance = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
    scale = gamma / np.sqrt(variance + np.float32(EPSILON))
    kernel = weights[f"{name}.weight"] * scale[:, np.newaxis, np.newaxis, np.newaxis]
    return kernel.astype(np.float32), (beta - mean * scale).astype(np.float32)


def _relu6(x: Node) -> Node:
    return ops.clamp(x, 0.0, 6.0)
