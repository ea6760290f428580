"""The small world of session_fakes, for tests and for the processes they start."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from nnapi_testkit.session.settings import Settings

SERVICES = "session_fakes:services"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings for a world whose first cases have the given words in their ids."""

    def make(*special: str, count: int = 12, torch: bool = True, **more: object) -> Settings:
        import session_fakes

        monkeypatch.setattr(session_fakes, "SPECIAL", special)
        monkeypatch.setattr(session_fakes, "COUNT", count)
        monkeypatch.setenv("FAKE_SPECIAL", ",".join(special))
        monkeypatch.setenv("FAKE_CASES", str(count))
        if not torch:
            monkeypatch.setenv("FAKE_NO_TORCH", "1")
        session_fakes.STATE.clear()
        session_fakes.OPENED.clear()
        return Settings(services=SERVICES, **more)  # type: ignore[arg-type]

    return make


@pytest.fixture
def environment() -> Callable[[], dict[str, str]]:
    """What a command of the kit needs to find the world of `settings`, called after it."""
    here = str(Path(__file__).parent)
    root = str(Path(__file__).parents[2])
    return lambda: {**os.environ, "PYTHONPATH": os.pathsep.join([here, root])}
