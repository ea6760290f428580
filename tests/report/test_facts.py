"""What stands above the numbers, and the order of types."""

from __future__ import annotations

from nnapi_testkit.report.columns import column_of, in_order
from nnapi_testkit.report.facts import device_line, level_words, run_facts

HOST = {
    "target": "host", "library": "/opt/libneuralnetworks.so", "device": "nnapi-reference",
    "device_type": "cpu", "device_version": "0.1.0", "feature_level": 1000008,
    "runtime_feature_level": 1000008, "attributed": True, "devices": ["nnapi-reference"],
    "missing_functions": [], "machine": "x86_64", "page_size": 4096,
}  # fmt: skip


def test_each_fact_is_said_once_and_in_words() -> None:
    summary = {
        "target": "host", "profile": "strict", "oracle": "live", "jobs": 2, "seed": 0,
        "started": "2026-01-02T03:04:05Z", "versions": {"nnapi-testkit": "0.1.0"}, "device": HOST,
    }  # fmt: skip
    assert run_facts(summary) == [
        ("target", "host"),
        ("device", "nnapi-reference: CPU, feature level 8, version 0.1.0"),
        ("library", "/opt/libneuralnetworks.so"),
        ("machine", "x86_64, 4 KiB pages"),
        ("profile", "strict"),
        ("oracle", "live"),
        ("jobs", "2"),
        ("nnapi-testkit", "0.1.0"),
        ("started", "2026-01-02 03:04:05 UTC"),
    ]


def test_what_differs_or_lacks_is_said() -> None:
    device = HOST | {
        "feature_level": 29, "missing_functions": ["ANeuralNetworksX"], "build_type": "user",
    }  # fmt: skip
    facts = dict(run_facts({"device": device}))
    assert facts["device"].endswith("feature level 3, version 0.1.0")
    assert facts["runtime"] == "feature level 8"
    assert facts["build type"] == "user"
    assert facts["NNAPI functions missing"] == "1: ANeuralNetworksX"
    many = dict(run_facts({"device": {"missing_functions": ["a"] * 30}}))
    assert many["NNAPI functions missing"] == "30: see summary.json"
    assert dict(run_facts({"device": {"error": "gone"}})) == {"device not asked": "gone"}
    assert run_facts({}) == []


def test_devices_that_tell_little() -> None:
    assert device_line("npu", "", "", -1) == "npu"
    assert device_line("npu", "accelerator", "1", 30) == (
        "npu: accelerator, feature level 4, version 1"
    )
    assert level_words(5) == "below feature level 1 (5)"


def test_common_types_come_first_and_pairs_after_their_first_type() -> None:
    cells = ["bool8", "per_channel>float32", "quant8/per_channel", "quant8", "float32>quant8",
             "quant16_symm", "int32", "float16", "quant8_signed", "float32"]  # fmt: skip
    assert in_order(cells) == [
        "float32", "float32>quant8", "float16", "quant8", "quant8/per_channel", "quant8_signed",
        "int32", "bool8", "per_channel>float32", "quant16_symm",
    ]  # fmt: skip
    pairs = ("float32>quant8", "quant8/per_channel", "quant16_symm")
    assert [column_of(cell) for cell in pairs] == ["float32", "quant8", "others"]
