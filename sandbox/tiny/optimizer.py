"""The optimizer: float32 masters of bfloat16 weights, Muon for hidden matrices and AdamW for the rest.

Muon (Jordan et al. 2024) orthogonalises the momentum of each matrix; scaled as in Moonlight (Liu et al. 2025, arXiv
2502.16982), its updates have the size of AdamW's. Gradients are averaged over the processes in one all-reduce a step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Group:
    """Weights by name with a multiple of the learning rate."""

    weights: dict[str, nn.Parameter]
    rate: float = 1.0


def _is_hidden_matrix(name: str, weight: Tensor) -> bool:
    return weight.ndim == 2 and not any(
        part in name for part in ("embed", "heads", "text_projection", "visual_projection")
    )


def orthogonalize(matrices: Tensor) -> Tensor:
    """Nearest semi-orthogonal matrices of (n, rows, columns), by five Newton-Schulz steps (Jordan's coefficients)."""
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.mT if tall else x).float()


class Optimizer:
    """Updates `working` weights (bfloat16) from `masters` (float32), named alike."""

    def __init__(
        self, groups: Iterable[Group], masters: dict[str, Tensor], *, processes: int, decay: float = 0.05
    ) -> None:
        self._processes = processes
        self._decay = decay
        self._adam_groups: list[dict[str, Any]] = []
        self._matrices: dict[tuple[int, int, float], list[int]] = {}
        self.names: list[str] = []
        self._working: list[nn.Parameter] = []
        self.masters: list[Tensor] = []
        for group in groups:
            plain: dict[bool, list[Tensor]] = {True: [], False: []}
            for name, weight in group.weights.items():
                master = masters[name]
                index = len(self.names)
                self.names.append(name)
                self._working.append(weight)
                self.masters.append(master)
                if _is_hidden_matrix(name, weight):
                    key = (weight.shape[0], weight.shape[1], group.rate)
                    self._matrices.setdefault(key, []).append(index)
                else:
                    plain[weight.ndim > 1].append(master)
            for decays, weights in plain.items():
                if weights:
                    self._adam_groups.append(
                        {"params": weights, "weight_decay": decay if decays else 0.0, "rate": group.rate}
                    )
        self._adam = torch.optim.AdamW(self._adam_groups, lr=0.0, betas=(0.9, 0.98), eps=1e-8, foreach=True)
        sizes = [master.numel() for master in self.masters]
        self._flat = torch.zeros(sum(sizes) + 4)
        self._total = sum(sizes)
        self._gradients: list[Tensor] = []
        offset = 0
        for master, size in zip(self.masters, sizes, strict=True):
            gradient = self._flat[offset : offset + size].view_as(master)
            self._gradients.append(gradient)
            master.grad = gradient
            offset += size
        self._momenta = {key: torch.zeros(len(indices), key[0], key[1]) for key, indices in self._matrices.items()}
        with torch.no_grad():
            torch._foreach_copy_(self._working, self.masters)

    def step(
        self,
        rate: float,
        matrix_rate: float,
        shared: tuple[float, ...] = (),
        *,
        scale: dict[float, float] | None = None,
    ) -> list[float]:
        """Apply the working weights' gradients and clear them.

        Args:
            rate: AdamW's learning rate.
            matrix_rate: Muon's, in units of AdamW's.
            shared: Up to four numbers to average over the processes.
            scale: Further multiples by a group's rate, for groups that join late.

        Returns:
            The averaged numbers.
        """
        scale = scale or {}
        for weight, gradient in zip(self._working, self._gradients, strict=True):
            if weight.grad is None:
                gradient.zero_()
            else:
                gradient.copy_(weight.grad)
            weight.grad = None
        self._flat[self._total :] = torch.tensor([*shared, *[0.0] * (4 - len(shared))])
        if self._processes > 1:
            torch.distributed.all_reduce(self._flat)
            self._flat /= self._processes
        gradients = self._flat[: self._total]
        gradients *= min(1.0, 1.0 / (float(gradients.norm()) + 1e-6))
        for group in self._adam.param_groups:
            group["lr"] = rate * group["rate"] * scale.get(group["rate"], 1.0)
        self._adam.step()
        with torch.no_grad():
            self._step_matrices(matrix_rate, scale)
            torch._foreach_copy_(self._working, self.masters)
        return self._flat[self._total :].tolist()[: len(shared)]

    def _step_matrices(self, matrix_rate: float, scale: dict[float, float]) -> None:
        for key, indices in self._matrices.items():
            rows, columns, multiple = key
            rate = matrix_rate * multiple * scale.get(multiple, 1.0)
            gradient = torch.stack([self._gradients[index] for index in indices])
            momentum = self._momenta[key]
            momentum.lerp_(gradient, 0.05)
            if rate == 0:
                continue
            update = orthogonalize(gradient.lerp(momentum, 0.95))
            size = 0.2 * max(rows, columns) ** 0.5
            weights = [self.masters[index] for index in indices]
            torch._foreach_mul_(weights, 1 - rate * self._decay)
            torch._foreach_add_(weights, list(update.unbind(0)), alpha=-rate * size)

    def state(self) -> dict[str, Any]:
        """What `load_state` needs to go on exactly."""
        return {"adam": self._adam.state_dict(), "momenta": {str(key): value for key, value in self._momenta.items()}}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up the state of an equal optimizer."""
        self._adam.load_state_dict(state["adam"])
        for key, value in self._momenta.items():
            value.copy_(state["momenta"][str(key)])
