"""What tells one checkpoint, and one way of preprocessing, from another."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from sandbox.checkpoint import Checkpoint

WHOLE = 256 * 2**20
"""Bytes of weights up to which all of them are in the fingerprint; above, the first and last 4 KiB of each tensor."""


def fingerprint(checkpoint: Checkpoint) -> str:
    """Return 16 hexadecimal digits that differ between checkpoints: of configuration, processor and weights."""
    digest = hashlib.sha256(checkpoint.model.config.to_json_string().encode())
    digest.update(processor_key(checkpoint))
    tensors = checkpoint.model.state_dict()
    whole = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) <= WHOLE
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        flat = tensor.detach().reshape(-1).contiguous().view(torch.uint8)
        for part in [flat] if whole else [flat[:4096], flat[-4096:]]:
            digest.update(np.ascontiguousarray(part.cpu().numpy()).data)
    return digest.hexdigest()[:16]


def processor_key(checkpoint: Checkpoint) -> bytes:
    """Return what tells one way of preprocessing pictures from another."""
    processor = checkpoint.processor.image_processor
    return f"{type(processor).__name__} {processor.to_json_string()}".encode()
