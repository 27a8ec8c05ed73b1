"""Sentence meaning as a vector: all-MiniLM-L6-v2 run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import numpy as np

WIDTH = 384


class SentenceEncoder:
    """Texts -> unit vectors of 384 numbers; nearness of meaning is their dot product.

    Parameters
    ----------
    folder: holds `model.onnx` and `tokenizer.json` (written at set-up by `bot.nlu.convert`).
    threads: processor threads; one keeps the engine's other core free.
    """

    MAX_TOKENS = 128
    _BATCH = 64

    def __init__(self, folder: Path | str, threads: int = 1) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        folder = Path(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(self.MAX_TOKENS)
        self._tokenizer.enable_padding()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of `texts`, one row each (float32, unit length). No texts give no rows."""
        vectors = np.zeros((len(texts), WIDTH), np.float32)
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(by_length), self._BATCH):
            rows = by_length[start : start + self._BATCH]
            encoded = self._tokenizer.encode_batch([texts[i] for i in rows])
            vectors[rows] = self._session.run(
                ["embedding"],
                {
                    "input_ids": np.array([e.ids for e in encoded], np.int64),
                    "attention_mask": np.array([e.attention_mask for e in encoded], np.int64),
                },
            )[0]
        return vectors
