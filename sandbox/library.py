"""Calls a program that AOTInductor compiled into a shared library.

PyTorch's own loader keeps Python's lock while a program runs, so that no other thread would get on. The library's C
interface (`torch/csrc/inductor/aoti_runtime/interface.h`) is called by ctypes, which gives the lock away.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch

from sandbox.errors import EngineFailed

AT_ONCE = 2
"""Threads that can run one program at the same time."""

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype, _capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class Library:
    """A compiled program for the CPU. A thread that finds it in use by `AT_ONCE` others waits."""

    def __init__(self, path: Path) -> None:
        """Load a library; EngineFailed if it isn't one that this PyTorch can run."""
        try:
            self._library = ctypes.CDLL(str(path))
            self._container = ctypes.c_void_p()
            count = ctypes.c_size_t()
            failed = self._library.AOTInductorModelContainerCreateWithDevice(
                ctypes.byref(self._container), ctypes.c_size_t(AT_ONCE), b"cpu", None
            ) or self._library.AOTInductorModelContainerGetNumOutputs(self._container, ctypes.byref(count))
        except (OSError, AttributeError) as error:
            raise EngineFailed(f"The compiled program {path.name} can't be loaded: {error}") from error
        if failed:
            raise EngineFailed(f"The compiled program {path.name} can't be set up.")
        self._outputs = count.value
        self._name = path.name

    def __call__(self, *tensors: torch.Tensor) -> list[torch.Tensor]:
        """Run on tensors of the dtypes and, where they are fixed, the shapes that it was compiled for.

        Raises:
            EngineFailed: It failed; PyTorch has written why to the error stream.
        """
        laid = [tensor if tensor.is_contiguous() else tensor.contiguous() for tensor in tensors]
        handles = torch._C._aoti.unsafe_alloc_void_ptrs_from_tensors(laid)  # which the program takes and frees
        inputs = (ctypes.c_void_p * len(laid))(*(_pointer(handle, None) for handle in handles))
        outputs = (ctypes.c_void_p * self._outputs)()
        failed = self._library.AOTInductorModelContainerRun(
            self._container, inputs, ctypes.c_size_t(len(laid)), outputs, ctypes.c_size_t(self._outputs), None, None
        )
        if failed:
            raise EngineFailed(f"The compiled program {self._name} failed.")
        given: list[torch.Tensor] = torch._C._aoti.alloc_tensors_by_stealing_from_void_ptrs(
            [_capsule(output, None, None) for output in outputs]
        )
        return given
