"""What the text of a target says, and what is missing: no Jumpstarter is needed for these."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Any

import pytest

from nnapi_testkit.targets import TargetError, parse
from nnapi_testkit.targets.jumpstarter import jumpstarter_fleet, jumpstarter_target


def test_text(quiet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    target = jumpstarter_target(
        "jumpstarter:board=pixel7,os!=14?duration=90m&wait=1.5h&client=lab&serial=R58M#npu"
    )
    settings = target.settings
    assert (settings.selector, settings.duration, settings.wait) == (
        "board=pixel7,os!=14",
        5400,
        5400,
    )
    assert (settings.client, settings.serial, target.device) == ("lab", "R58M", "npu")
    monkeypatch.setenv("NNAPI_TESTKIT_JUMPSTARTER", "client=other, wait=20")
    settings = jumpstarter_target("jumpstarter:board=pixel7?client=lab").settings
    assert (settings.client, settings.wait, settings.duration) == ("lab", 20, 3600)


@pytest.mark.parametrize(
    "text, words",
    [
        ("jumpstarter:a=b?color=red", "'color=red' is not NAME=VALUE with one of exporter, client"),
        ("jumpstarter:a=b?wait=soon", "wait=soon is no time: write it as 90s, 30m or 2h"),
        ("jumpstarter:a=b?duration=0s", "duration=0s is no time"),
        ("jumpstarter:a=b?client=", "'client=' is not NAME=VALUE"),
        ("jumpstarter:a=b?exporter=x", "labels or an exporter, not both"),
        ("jumpstarter:a=b?sl=driver.so", "write driver.so as the whole path on the device"),
        ("jumpstarter:a=b?sl=/a.so&lib=/b.so", "not both"),
        ("jumpstarter:a=b*0", "asks for 0 devices: 1 to 64"),
        ("jumpstarter:a=b*65", "asks for 65 devices: 1 to 64"),
    ],
)
def test_nonsense(quiet: None, text: str, words: str) -> None:
    with pytest.raises(TargetError) as error:
        jumpstarter_target(text)
    assert words in str(error.value)


def test_fleet(quiet: None) -> None:
    assert jumpstarter_fleet("jumpstarter:a=b") == ("jumpstarter:a=b",)
    assert jumpstarter_fleet("jumpstarter:a=b*2?wait=1h#npu") == (
        "jumpstarter:a=b?lane=1&wait=1h#npu",
        "jumpstarter:a=b?lane=2&wait=1h#npu",
    )
    keys = {
        jumpstarter_target(text).settings.key for text in jumpstarter_fleet("jumpstarter:a=b*3")
    }
    assert len(keys) == 3
    with pytest.raises(TargetError, match=r"name labels in front of \*2"):
        jumpstarter_fleet("jumpstarter:*2")


def test_without_the_extra(quiet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("hold", "client"):
        monkeypatch.delitem(sys.modules, f"nnapi_testkit.targets.jumpstarter.{name}", raising=False)
    for name in ("anyio", "jumpstarter", "jumpstarter_driver_adb"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(TargetError) as error:
        jumpstarter_target("jumpstarter:a=b").open()
    assert str(error.value).endswith("pip install nnapi-testkit[jumpstarter]")
    assert "\n" not in str(error.value)


def test_packages_add_fleets(monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint("rack", f"{__name__}:rack", parse.FLEETS)
    broken = importlib.metadata.EntryPoint("broken", "nowhere_at_all:many", parse.FLEETS)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])

    def known(group: str) -> list[Any]:
        return [point, broken] if group == parse.FLEETS else []

    monkeypatch.setattr(parse, "entry_points", known)
    assert parse.fleet("rack:2") == ("rack:1", "rack:2")
    assert parse.fleet("other:2") == ("other:2",)
    assert parse.fleet("host") == ("host",)
    with pytest.raises(TargetError, match=r"broken .* cannot be loaded"):
        parse.fleet("broken:1")


def rack(text: str) -> list[str]:
    return [f"rack:{number + 1}" for number in range(int(text.partition(":")[2]))]


def test_no_client_and_no_device(
    lab_module: Any, quiet: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from jumpstarter.config.user import UserConfigV1Alpha1

    monkeypatch.setattr(UserConfigV1Alpha1, "USER_CONFIG_PATH", tmp_path / "config.yaml")
    with pytest.raises(TargetError, match="names no device: write jumpstarter:LABEL=VALUE"):
        jumpstarter_target("jumpstarter:").open()
    with pytest.raises(TargetError, match="no current Jumpstarter client: log in with `jmp login`"):
        jumpstarter_target("jumpstarter:a=b").open()
    with pytest.raises(TargetError, match=r"nobody\.yaml' does not exist"):
        jumpstarter_target("jumpstarter:a=b?client=nobody").open()
    (tmp_path / "broken.yaml").write_text("apiVersion: [")
    with pytest.raises(TargetError, match="Jumpstarter's client configuration: ") as error:
        jumpstarter_target(f"jumpstarter:a=b?config={tmp_path}/broken.yaml").open()
    assert "\n" not in str(error.value)
    (tmp_path / "empty.yaml").write_text("metadata: {name: me, namespace: lab}\n")
    with pytest.raises(TargetError, match="endpoint or token not set"):
        jumpstarter_target(f"jumpstarter:a=b?config={tmp_path}/empty.yaml").open()
