"""Which norm takes a convolution's output, and which convolution a norm's: seen in one run.

To trace a network with torch.fx would not do: networks look at the size, the device or the layout
of what they get.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class WatchedRun(TorchFunctionMode):
    """A block in which a network in evaluation runs once.

    Convolutions and norms are known by the tensors that they hand to torch. One that makes a tensor
    anew, as a convolution that standardises its weight, is not seen.

    Args:
        network: that will run.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._names: dict[int, str] = {}
        for name, module in network.named_modules():
            # FastReID's frozen norm is no subclass of torch's.
            known = module._buffers.get("running_mean")
            if isinstance(module, nn.Conv2d):
                known = module._parameters.get("weight")
            if known is not None:
                self._names[id(known)] = name
        # Who made a tensor. It is kept, so that no later one gets its identity.
        self._made: dict[int, tuple[str, Tensor]] = {}
        self._uses: Counter[int] = Counter()
        self._takers: dict[int, str] = {}
        self._runs: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call one of torch's functions, and note what it takes and makes."""
        found = func(*args, **(kwargs or {}))
        # To ask for a size or a device is no use.
        if isinstance(found, (Tensor, tuple, list)) and not isinstance(found, torch.Size):
            used = (id(tensor) for tensor in _tensors((args, kwargs)))
            self._uses.update(key for key in used if key in self._made)
        if func in (F.conv2d, F.batch_norm) and (name := self._names.get(id(args[1]))):
            self._runs[name] += 1
            if id(args[0]) in self._made:
                self._takers[id(args[0])] = name
            self._made[id(found)] = name, found
        return found

    def pairs(self) -> list[tuple[str, str]]:
        """Names of two modules, each run once, of which the second alone takes what the first made.

        What the network keeps or returns besides is not seen.
        """
        return [
            (maker, taker)
            for key, (maker, _) in self._made.items()
            if (taker := self._takers.get(key))
            and self._uses[key] == self._runs[maker] == self._runs[taker] == 1
        ]


def _tensors(nested: Any) -> Iterator[Tensor]:
    """The tensors in tuples, lists and dictionaries within each other."""
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, (tuple, list)):
        for part in nested:
            yield from _tensors(part)
    elif isinstance(nested, dict):
        yield from _tensors(tuple(nested.values()))
