"""PyTorch's own NNAPI runtime on a driver: convert, bundle, run in a child process, compare.

    from nnapi_testkit.mobile.check import CheckSettings, check

    report = check(model.eval(), [[torch.rand(1, 3, 224, 224)]], CheckSettings(layout="nhwc"))
    assert report.passed, report.text()

`convert` turns a model into the module that PyTorch runs through NNAPI, `files` saves and loads
it with its test inputs, `runtime` runs it in a process of its own, `walk` and `rounding` compute
what the model should give and how far legal rounding can move that, `compare` judges, `check`
does all of it. docs/pytorch.md tells the story.
"""

from nnapi_testkit.errors import KitError

try:
    import torch  # noqa: F401
except ImportError as _error:
    raise KitError(
        f"PyTorch cannot be imported ({_error}): pip install 'nnapi-testkit[torch]'"
    ) from None
