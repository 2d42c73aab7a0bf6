"""llama.cpp itself, decoding a plan of batches with the live model's language model.

The C API is called by ctypes in the shared library of xllamacpp's wheel, which exports it: neither that package's own
classes nor cyllama's let a batch carry embeddings. The language model goes to llama.cpp as a GGUF file without a
tokenizer, in float32 as it is computed here.

llama.cpp ends its process where a batch breaks its assertions, so it runs in a process of its own, one plan at a time.

Covered: models whose language model is a plain Llama (grouped heads too), on the CPU. Not covered: other architectures
and scaled rotary positions, which are refused in words.
"""

from __future__ import annotations

import ctypes
import importlib.util
import multiprocessing
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from sandbox.checkpoint import Checkpoint, to_array
from sandbox.errors import EngineFailed

Plan = Sequence[Mapping[str, np.ndarray]]

MISSING = "llama.cpp is not installed here: pip install 'vivalab[llamacpp]'. The plan is run by transformers instead."
STRUCT_BYTES = 1024
"""Room for llama.cpp's parameter structs, which are passed by value and never last longer than the call.

The x86-64 and AArch64 conventions let a caller pass more than the callee reads.
"""
CACHE_TYPES = (26, 27)
"""Where `type_k` and `type_v` lie in `llama_context_params`, in words of four bytes, in the pinned build."""
F16, F32 = 1, 0
"""`ggml_type` values."""


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
        self._process: ProcessPoolExecutor | None = None

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
            if self._process is None:
                # a forked child would share torch's threads and locks
                spawn = multiprocessing.get_context("spawn")
                self._process = ProcessPoolExecutor(1, spawn, initializer=_load, initargs=(str(self._file),))
            try:
                logits, tokens = self._process.submit(_run, list(plan), limit, self._ends).result()
            except BrokenProcessPool:
                self._process = None
                raise LlamaCppFailed("llama.cpp ended its process on this plan: a batch breaks its rules.") from None
        if isinstance(logits, str):
            raise LlamaCppFailed(logits)
        return logits, tokens

    def close(self) -> None:
        """End the process and delete the file."""
        with self._lock:
            if self._process is not None:
                self._process.shutdown()
                self._process = None
            self._folder.cleanup()


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


class _Params(ctypes.Structure):
    _fields_ = (("words", ctypes.c_uint32 * (STRUCT_BYTES // 4)),)


class _Batch(ctypes.Structure):
    """`llama_batch` of llama.h."""

    _fields_ = (
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.POINTER(ctypes.c_float)),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


class _Model:
    """A model and its context, in the process that computes."""

    def __init__(self, path: str) -> None:
        library = ctypes.CDLL(str(next(_package("xllamacpp").glob("xllamacpp*.so"))))
        pointer, silent = ctypes.c_void_p, ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
        self._quiet = silent(lambda *_: None)
        library.llama_log_set(self._quiet, None)
        for name, result, arguments in (
            ("llama_model_default_params", _Params, ()),
            ("llama_context_default_params", _Params, ()),
            ("llama_model_load_from_file", pointer, (ctypes.c_char_p, _Params)),
            ("llama_init_from_model", pointer, (pointer, _Params)),
            ("llama_model_get_vocab", pointer, (pointer,)),
            ("llama_vocab_n_tokens", ctypes.c_int32, (pointer,)),
            ("llama_set_n_threads", None, (pointer, ctypes.c_int32, ctypes.c_int32)),
            ("llama_get_memory", pointer, (pointer,)),
            ("llama_memory_clear", None, (pointer, ctypes.c_bool)),
            ("llama_decode", ctypes.c_int32, (pointer, _Batch)),
            ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), (pointer, ctypes.c_int32)),
        ):
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        library.llama_backend_init()
        model = library.llama_model_load_from_file(path.encode(), library.llama_model_default_params())
        params = library.llama_context_default_params()
        params.words[0] = 0  # n_ctx: the model's own
        if all(params.words[place] == F16 for place in CACHE_TYPES):
            for place in CACHE_TYPES:
                params.words[place] = F32
        self._context = library.llama_init_from_model(model, params)
        if not model or not self._context:
            raise RuntimeError("llama.cpp could not load the language model")
        library.llama_set_n_threads(self._context, 1, 1)
        self._library = library
        self.vocabulary = library.llama_vocab_n_tokens(library.llama_model_get_vocab(model))

    def clear(self) -> None:
        """Empty the key-value cache."""
        self._library.llama_memory_clear(self._library.llama_get_memory(self._context), True)

    def decode(self, batch: Mapping[str, np.ndarray]) -> int:
        """Decode one batch of sequence 0; 0 is success, as in llama.h."""
        positions = np.ascontiguousarray(batch["pos"], np.int32)
        asked, ones = np.ascontiguousarray(batch["logits"], np.int8), np.ones(len(positions), np.int32)
        sequence = np.zeros(1, np.int32)
        sequences = (ctypes.POINTER(ctypes.c_int32) * len(positions))(*[_int32(sequence)] * len(positions))
        given = _Batch(n_tokens=len(positions), pos=_int32(positions), n_seq_id=_int32(ones), seq_id=sequences)
        given.logits = asked.ctypes.data_as(ctypes.POINTER(ctypes.c_int8))
        if "token" in batch:
            tokens = np.ascontiguousarray(batch["token"], np.int32)
            given.token = _int32(tokens)
        else:
            rows = np.ascontiguousarray(batch["embd"], np.float32)
            given.embd = rows.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        return int(self._library.llama_decode(self._context, given))

    def logits(self) -> np.ndarray:
        """Return the logits of the last row that asked for them, float32 (vocabulary,)."""
        found = self._library.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(found, (self.vocabulary,)).copy()


def _package(name: str) -> Path:
    """Return where a package lies without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(name)
    return Path(found.submodule_search_locations[0])


def _int32(array: np.ndarray) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))


_models: list[_Model] = []  # the one of the process that computes


def _load(path: str) -> None:
    _models.append(_Model(path))


def _run(plan: Plan, limit: int, ends: frozenset[int]) -> tuple[np.ndarray | str, list[int]]:
    """Decode a plan; a refusal comes back as a sentence."""
    (model,) = _models
    model.clear()
    for number, batch in enumerate(plan, 1):
        if code := model.decode(batch):
            return f"llama_decode refused batch {number} of {len(plan)} (it returned {code}).", []
    logits, position, tokens = model.logits(), int(plan[-1]["pos"][-1]), list[int]()
    current = logits
    while len(tokens) < limit:
        tokens.append(int(current.argmax()))
        position += 1
        if tokens[-1] in ends or len(tokens) == limit:
            break
        step = {"token": np.array([tokens[-1]]), "pos": np.array([position]), "logits": np.array([True])}
        if model.decode(step):
            break  # the context is full
        current = model.logits()
    return logits, tokens
