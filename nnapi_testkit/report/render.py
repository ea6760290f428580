"""What every page of the kit is written with: templates beside this file, and data in a script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2

__all__ = ["script_json", "template"]


def template(name: str) -> jinja2.Template:
    """Return a template; what it is given is escaped, and a name that it lacks is an error."""
    import jinja2  # only who renders pays for it

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nnapi_testkit.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def script_json(value: object) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
