"""Renders templates with Jinja2 in Airflow's settings, for the differential test.

Reads JSON lines {"template": ..., "native": bool}, prints JSON lines {"out": ...} or {"error": class name}.
"""
import json
import sys

import jinja2
from jinja2.nativetypes import NativeEnvironment
from jinja2.sandbox import SandboxedEnvironment

CONTEXT = {
    "a": 1, "f": 2.5, "s": "hello World", "empty": "", "n": None, "t": True,
    "xs": [3, 1, 2], "words": ["pear", "Apple", "fig"], "d": {"z": 1, "a": [1, "x"], "k": {"q": None}},
    "rows": [{"name": "b", "n": 2}, {"name": "a", "n": 1}, {"name": "B", "n": 3}],
    "text": "line one\nline two is longer\n\nend", "html": "<b>\"x\" & 'y'</b>",
}


class Sandbox(SandboxedEnvironment):
    def is_safe_attribute(self, obj, attr, value):
        return not attr.startswith("__")


class Native(NativeEnvironment, Sandbox):
    pass


def environment(cls):
    return cls(undefined=jinja2.StrictUndefined, extensions=["jinja2.ext.do"])


plain, native = environment(Sandbox), environment(Native)
for line in sys.stdin:
    case = json.loads(line)
    try:
        template = (native if case.get("native") else plain).from_string(case["template"])
        out = template.render(json.loads(json.dumps(CONTEXT)))
        print(json.dumps({"out": out if isinstance(out, str) or not case.get("native") else {"value": repr(out)}}))
    except Exception as error:  # every failure is an answer
        print(json.dumps({"error": type(error).__name__ + ": " + str(error)[:200]}))
