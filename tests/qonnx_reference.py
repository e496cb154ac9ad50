"""Runs ONNX models with the executor of the `qonnx` package: its authors' own, on onnxruntime."""

import warnings

import numpy as np

__all__ = ["run_model"]


def run_model(model, images, image_range=(0.0, 1.0), outputs=()):
    """Return tensors of a model for images of bytes.

    Parameters
    ----------
    model : onnx.ModelProto
        A model with one input, (1 or open, ...).
    images : uint8 array, (N, ...)
        In the model's own layout.
    image_range : (float, float)
        What the bytes 0 and 255 stand for.
    outputs : sequence of str
        Names of tensors beside the result.

    Returns
    -------
    list of array
        The result, then the tensors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        wrapped = ModelWrapper(model, make_deepcopy=True)
        graph = wrapped.graph
        constants = {tensor.name for tensor in graph.initializer}
        (image,) = (value for value in graph.input if value.name not in constants)
        image.type.tensor_type.shape.dim[0].dim_value = len(images)
        # Shapes in the file are those of one image.
        del graph.value_info[:]
        graph.output[0].type.tensor_type.ClearField("shape")
        wrapped = wrapped.transform(InferShapes())
        low, high = image_range
        x = (low + images.astype(np.float64) / 255 * (high - low)).astype(np.float32)
        context = execute_onnx(wrapped, {image.name: x}, return_full_exec_context=True)
    return [context[name] for name in (graph.output[0].name, *outputs)]
