"""The options that `nnapi-testkit run` and pytest share, once: `--NAME` there, `--nnapi-NAME` here.

The plugin reads this in everyone's pytest, so it imports next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["OPTIONS", "Option"]


class Option(NamedTuple):
    """One option.

    Args:
        name: without dashes.
        group: of the help of `run`: `pick`, `how` or `out`.
        more: what `add_argument` is told, but for `path`, true where the text names a file.
        short: a letter for `run`.
        aliases: other names.
    """

    name: str
    group: str
    more: Mapping[str, Any]
    short: str = ""
    aliases: tuple[str, ...] = ()

    def flags(self, *, pytest: bool) -> list[str]:
        """Return what may be typed; `run` takes the names of pytest too."""
        names = (self.name, *self.aliases)
        ours = [f"--nnapi-{name}" for name in names]
        if pytest:
            return ours
        return [*([f"-{self.short}"] if self.short else []), f"--{names[0]}", *ours]


def _flag(name: str, group: str, text: str) -> Option:
    return Option(name, group, {"action": "store_true", "help": text})


def _choice(name: str, group: str, choices: tuple[str, ...], default: Any, text: str) -> Option:
    return Option(name, group, {"choices": choices, "default": default, "help": text})


def _value(name: str, group: str, metavar: str, text: str, **more: Any) -> Option:
    return Option(name, group, {"metavar": metavar, "help": text, **more})


def _many(name: str, metavar: str, text: str, short: str = "") -> Option:
    more = {"action": "append", "default": [], "metavar": metavar, "help": text}
    return Option(name, "pick", more, short)


_LEVEL = "only cases that need at most feature level N (default: the device's own)"
_TIER = "a selection that keeps most of the power for a part of the time (default full)"
_SHUFFLE = "run the cases in another order for each number: what one leaves to the next shows"
_RESUME = "continue the run whose report is in DIR; the other options are those of that run"
_BEFORE = "run this first, with ANDROID_SERIAL set: push a driver, restart it, set properties"
_LOG = "run failures once more with the driver's verbose log (debug.nn.vlog) and keep it"
_TARGET = "host, lib:PATH, adb:SERIAL or another registered target (default host)"

OPTIONS = (
    _many("operation", "OP", "only this operation (may be repeated)", "o"),
    _many("kind", "KIND", "only this kind of case (may be repeated)"),
    _value("level", "pick", "N", _LEVEL, type=int)._replace(aliases=("feature-level",)),
    _choice("tier", "pick", ("smoke", "standard", "full"), None, _TIER),
    _value("shard", "pick", "I/N", "part I of N of the selected cases"),
    _value(
        "seed", "pick", "N", "other data for the same cases; goldens answer seed 0 only",
        type=int, default=0,
    ),
    _value("shuffle", "pick", "SEED", _SHUFFLE, type=int),
    _value("target", "how", "TARGET", _TARGET, default="host")._replace(short="t"),
    _value(
        "jobs", "how", "N", "runner processes that one process keeps busy (default 1)",
        type=int, default=1,
    )._replace(short="j"),
    _choice("oracle", "how", ("auto", "live", "golden"), "auto",
            "who answers (default: live if torch is installed)"),
    _choice("profile", "how", ("strict", "standard", "cts"), "standard",
            "what counts as equal (default standard)"),
    _choice("judge", "how", ("driver", "platform"), "driver",
            "charge the driver alone (default), or the runtime before it too"),
    _flag("isolate", "how", "a worker of its own for every case"),
    _value("before-run", "how", "CMD", _BEFORE),
    _flag("driver-log", "how", _LOG),
    _value("memory-limit", "how", "MB", "what a worker may grow to", type=int),
    _value("report", "out", "DIR", "write results.jsonl, summary.json, junit.xml and index.html",
           path=True),
    _flag("overwrite", "out", "replace a report of another selection in DIR"),
    _value("resume", "out", "DIR", _RESUME, path=True),
    _value("retry", "out", "DIR", "as --resume, and run what failed or was in error again",
           path=True),
    _flag("matrix", "out", "print the coverage matrix"),
    _value("floor", "out", "FILE", "fail if fewer cases run or are compared than FILE expects",
           path=True),
    _value("waivers", "out", "FILE", "TOML file of expected failures", path=True),
    _value("write-waivers", "out", "FILE", "draft waivers for what failed, to be reviewed",
           path=True),
)  # fmt: skip
