"""Outputs of a network for the images of a test set, kept batch by batch for the evaluation.

Shapes: B images of a batch, D global features, C channels, N columns.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..matching.column_store import ColumnStore
from ..matching.columns import NotFiniteError
from ..matching.extracted import Images
from ..matching.slabs import Slabs
from ..runtime.freed_memory import release_freed_memory
from ..runtime.memory_budget import MemoryBudget

# Bytes of outputs after which freed memory is given back to the system: some of it lies between
# outputs that are kept, in pieces too small for the next batch.
RELEASE_EVERY = 1e9


class CollectedOutputs:
    """The images that this process has seen, in their order.

    All is kept on the device of what is added, the columns within its budget.

    Args:
        storage: dtype of the columns that are kept; None: features alone are.
        folder: of the file with the columns beyond the budget.
        budget: bytes, by the device of the outputs; asked when the first batch comes.

    Attributes:
        store: the columns.
        folder: as given.
        budget: what `budget` gave; None before the first batch.
    """

    def __init__(
        self,
        storage: torch.dtype | None,
        folder: str | os.PathLike[str],
        budget: Callable[[torch.device], MemoryBudget],
    ) -> None:
        self._storage, self.folder, self._ask = storage, os.fspath(folder), budget
        self.budget: MemoryBudget | None = None
        self.store = ColumnStore(0, folder)
        self._features, self._weights = Slabs(), Slabs()
        self._pids, self._camids = Slabs(), Slabs()
        self._passed = 0

    def __len__(self) -> int:
        return sum(len(self._pids[batch]) for batch in range(len(self._pids)))

    @property
    def device(self) -> torch.device:
        """Where all is kept; the CPU before the first batch."""
        return self._features[0].device if len(self._features) else torch.device("cpu")

    @torch.no_grad()
    def add(self, outputs: object, pids: Tensor, camids: Tensor) -> None:
        """Keep one batch.

        Args:
            outputs: features (B, D), columns (B, C, N) and weights (B, N), or the features alone
                where no columns are kept. Columns are scaled to unit length.
            pids, camids: (B,) identities and cameras.

        Raises:
            ValueError: there are no columns to keep, or something else than these.
            NotFiniteError: features or weights hold an infinity or NaN.
            OSError: the columns do not fit into the file, see `ColumnStore.append`.
        """
        features, local = self._parts(outputs)
        for name, part in (("features", features), ("weights", local and local[1])):
            if part is not None and not part.isfinite().all():
                raise NotFiniteError(f"{name} hold an infinity or NaN")
        self._features.append(features.float())
        self._pids.append(pids.cpu())
        self._camids.append(camids.cpu())
        self._passed += features.nbytes
        if self._storage is not None and local is not None:
            columns, weights = local
            if self.budget is None:
                self.budget = self._ask(columns.device)
                self.store = ColumnStore(self.budget.columns, self.folder, columns.device)
            exact = torch.promote_types(self._storage, torch.float32)
            self.store.append(F.normalize(columns.to(exact), dim=1).to(self._storage))
            self._weights.append(weights.to(exact))
            self._passed += columns.nbytes
        if self._passed >= RELEASE_EVERY:
            self._passed = 0
            release_freed_memory()

    def _parts(self, outputs: object) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Features, and columns with weights where there are some."""
        parts = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        tensors = [part for part in parts if isinstance(part, Tensor)]
        if len(tensors) != len(parts) or len(tensors) not in (1, 3):
            raise ValueError(
                "a network must give features, or features, columns and weights in evaluation, "
                f"not {type(outputs).__name__}"
            )
        if self._storage is not None and len(tensors) == 1:
            raise ValueError(
                "the network gives features and no columns, which the reconstruction distance "
                "needs: set TEST.DSR.ENABLED False, or MODEL.HEADS.NAME DSRHead"
            )
        return tensors[0], (tensors[1], tensors[2]) if len(tensors) == 3 else None

    def features(self) -> Tensor:
        """(B, D) of all images; (0,) without any."""
        return self._features.joined()

    def ids(self) -> tuple[Tensor, Tensor]:
        """Identities and cameras (B,) of all images, on the CPU."""
        pids, camids = self._pids.joined(), self._camids.joined()
        return (pids, camids) if len(self._pids) else (pids.long(), camids.long())

    def images(self, features: Tensor, start: int, stop: int) -> Images:
        """Some of the images, with global features (B, D) of all images."""
        if self._storage is None:
            return Images(features[start:stop], [], [])
        weights = [row for batch in range(len(self._weights)) for row in self._weights[batch]]
        return Images(features[start:stop], self.store.part(start, stop), weights[start:stop])

    def close(self) -> None:
        """Free the columns, and the file of those that did not fit into memory."""
        self.store.close()
