"""Sentence meaning as a vector: all-MiniLM-L6-v2 run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Sequence

import numpy as np

WIDTH = 384
EARLY_WIDTH = 3 * WIDTH
_FILES = {"full": "model.onnx", "int8": "model-int8.onnx"}


class SentenceEncoder:
    """Texts -> vectors. The first 384 numbers are the published unit vector: nearness of meaning is its dot product.

    The 1152 behind them are means of the network's early layers, which keep more of the wording.

    Parameters
    ----------
    folder: holds `model.onnx`, `model-int8.onnx` and `tokenizer.json` (written at set-up by `bot.nlu.convert`).
    precision: `full` gives the published vectors, `int8` takes half the time (mean cosine to the full ones .99).
    threads: processor threads; one keeps the engine's other core free.
    """

    MAX_TOKENS = 128
    _BATCH = 64
    _PADDING = 1.3

    def __init__(self, folder: Path | str, threads: int = 1, precision: str = "int8") -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        folder = Path(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(str(folder / _FILES[precision]), options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(self.MAX_TOKENS)
        self._tokenizer.no_padding()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of `texts`, one row each (float32, 384 + 1152 wide). No texts give no rows."""
        vectors = np.zeros((len(texts), WIDTH + EARLY_WIDTH), np.float32)
        tokens = [encoded.ids for encoded in self._tokenizer.encode_batch(list(texts))]
        for rows in self._batches([len(ids) for ids in tokens]):
            ids = np.zeros((len(rows), len(tokens[rows[-1]])), np.int64)
            mask = np.zeros_like(ids)
            for row, i in enumerate(rows):
                ids[row, : len(tokens[i])] = tokens[i]
                mask[row, : len(tokens[i])] = 1
            outputs = self._session.run(["embedding", "early"], {"input_ids": ids, "attention_mask": mask})
            vectors[rows] = np.concatenate(outputs, axis=1)
        return vectors

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Positions of texts of like length together, shortest first, so that little padding is computed."""
        batch: list[int] = []
        for i in sorted(range(len(lengths)), key=lengths.__getitem__):
            if batch and (len(batch) == self._BATCH or lengths[i] > self._PADDING * lengths[batch[0]]):
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch
