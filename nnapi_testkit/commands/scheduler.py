"""Distribution for pytest-xdist: cases in whole blocks, everything else one by one."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from nnapi_testkit.commands.items import NAME
from nnapi_testkit.session.plan import blocks

__all__ = ["BlockScheduling"]


class BlockScheduling(LoadScopeScheduling):
    """A worker runs a block through one runner call, so it has to get the whole of it."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        self._scopes: dict[str, str] = {}
        self._positions: dict[str, int] = {}

    def schedule(self) -> None:
        """Divide the collection into blocks as the workers do, then deal them out."""
        if not self._positions and self.registered_collections:
            collection = next(iter(self.registered_collections.values()))
            self._positions = {nodeid: at for at, nodeid in enumerate(collection)}
            cases = [nodeid for nodeid in collection if nodeid.startswith(f"{NAME}::")]
            for first, last in blocks(len(cases), self.numnodes):
                self._scopes.update((nodeid, f"{NAME}::{first}") for nodeid in cases[first:last])
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self._scopes.get(nodeid, nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        # The base class searches the collection for every id; that is quadratic.
        scope, unit = self.workqueue.popitem(last=False)
        self.assigned_work.setdefault(node, {})[scope] = unit
        node.send_runtest_some(
            [self._positions[nodeid] for nodeid, completed in unit.items() if not completed]
        )

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """Forget what is done, so that counting what is not stays cheap."""
        nodeid = self.registered_collections[node][item_index]
        scope = self._split_scope(nodeid)
        unit = self.assigned_work[node][scope]
        del unit[nodeid]
        if not unit:
            del self.assigned_work[node][scope]
        self._reschedule(node)
