"""llama.cpp itself, decoding a plan of batches with the live model's language model.

The C API is called by ctypes in the shared library of xllamacpp's wheel, which exports it: neither that package's own
classes nor cyllama's let a batch carry embeddings. The language model goes to llama.cpp as a GGUF file without a
tokenizer, in float32 as it is computed here.

llama.cpp ends its process where a batch breaks its assertions, so it runs in a process of its own, one plan at a time.

Covered: models whose language model is a plain Llama (grouped heads too), on the CPU. Not covered: other architectures
and scaled rotary positions, which are refused in words.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

import numpy as np

from sandbox.checkpoint import Checkpoint, to_array
from sandbox.errors import EngineFailed

Plan = Sequence[Mapping[str, np.ndarray]]

PROGRAM = Path(__file__).with_name("llamadecode.py")
MISSING = "llama.cpp is not installed here: pip install 'vivalab[llamacpp]'. The plan is run by transformers instead."


class LlamaCppFailed(EngineFailed):
    """llama.cpp refused a plan, or can't run this model; its text is the sentence for people."""


def is_installed() -> bool:
    """Tell whether the optional extra `llamacpp` is there."""
    return all(importlib.util.find_spec(name) is not None for name in ("xllamacpp", "gguf"))


class LlamaCpp:
    """A language model in llama.cpp, in a process of its own that is started again when it dies."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Write the language model as GGUF.

        Raises:
            LlamaCppFailed: The extra is missing, or the model isn't a plain Llama.
        """
        if not is_installed():
            raise LlamaCppFailed(MISSING)
        self._folder = tempfile.TemporaryDirectory(prefix="vivalab-gguf-")
        self._file = Path(self._folder.name) / "language-model.gguf"
        export_gguf(checkpoint, self._file)
        self._ends = checkpoint.end_tokens
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> LlamaCpp:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def run(self, plan: Plan, limit: int = 0) -> tuple[np.ndarray, list[int]]:
        """Decode a plan from an empty cache, and go on greedily.

        Args:
            plan: Batches with `token` int (n,) or `embd` float32 (n, d), `pos` int (n,) and `logits` bool (n,); the
                last row of the last batch asks for logits.
            limit: How many tokens to go on for; an end token ends it earlier.

        Returns:
            float32 (vocabulary,), the logits of the last row, and the tokens that follow.

        Raises:
            LlamaCppFailed: llama.cpp refused a batch or ended on one.
        """
        with self._lock:
            try:
                pipe = self._pipe or self._start()
                pipe.send((list(plan), limit, self._ends))
                logits, tokens = pipe.recv()
            except (EOFError, OSError):
                self._end()
                raise LlamaCppFailed("llama.cpp ended its process on this plan: a batch breaks its rules.") from None
        if isinstance(logits, str):
            raise LlamaCppFailed(logits)
        return logits, tokens

    def close(self) -> None:
        """End the process and delete the file."""
        with self._lock:
            self._end()
            self._folder.cleanup()

    def _start(self) -> Connection:
        """Start the process: a program of its own, since a forked one would share torch's threads and locks."""
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(PROGRAM), str(theirs.fileno()), str(self._file)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        return self._pipe

    def _end(self) -> None:
        """End the process, which leaves when its pipe is closed."""
        if self._pipe is not None and self._process is not None:
            self._pipe.close()
            self._process.wait()
        self._pipe = self._process = None


def export_gguf(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint's language model as GGUF, float32, without a tokenizer.

    Queries and keys are permuted from the halves that transformers rotates to the pairs that llama.cpp rotates for this
    architecture, as llama.cpp's `convert_hf_to_gguf.py` does.

    Raises:
        LlamaCppFailed: It isn't a plain Llama.
    """
    import gguf

    config = checkpoint.model.config.text_config
    rope = config.rope_parameters
    if config.model_type != "llama" or rope.get("rope_type", "default") != "default" or config.attention_bias:
        raise LlamaCppFailed(
            f"The language model of {checkpoint.name} is of type {config.model_type}; only a plain Llama is handed to "
            "llama.cpp here. The plan is run by transformers instead."
        )
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("no_vocab")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    weights = {f"model.{name}": w for name, w in checkpoint.model.model.language_model.state_dict().items()}
    if not config.tie_word_embeddings:
        weights["lm_head.weight"] = checkpoint.model.lm_head.weight
    for name, weight in weights.items():
        array = to_array(weight)
        for projection, count in heads.items():
            if f".{projection}." in name:
                array = array.reshape(count, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
