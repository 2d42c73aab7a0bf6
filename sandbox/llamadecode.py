"""The program in which llama.cpp decodes plans of batches; `llamacpp` starts it and speaks with it by a pipe."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

Plan = Sequence[Mapping[str, np.ndarray]]

STRUCT_BYTES = 1024
"""Room for llama.cpp's parameter structs, which are passed by value and never last longer than the call.

The x86-64 and AArch64 conventions let a caller pass more than the callee reads.
"""
CACHE_TYPES = (26, 27)
"""Where `type_k` and `type_v` lie in `llama_context_params`, in words of four bytes, in the pinned build."""
F16, F32 = 1, 0
"""`ggml_type` values."""


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


def _run(model: _Model, plan: Plan, limit: int, ends: frozenset[int]) -> tuple[np.ndarray | str, list[int]]:
    """Decode a plan; a refusal comes back as a sentence."""
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


def main() -> None:
    """Serve plans that come by a pipe, until it is closed; its number and the model's file are the arguments."""
    pipe, model = Connection(int(sys.argv[1])), _Model(sys.argv[2])
    with contextlib.suppress(EOFError):
        while True:
            pipe.send(_run(model, *pipe.recv()))
    os._exit(0)  # llama.cpp's threads don't end by themselves


if __name__ == "__main__":
    main()
