"""Answers cases, one JSON object a line, with what the installed AWS CLI does: it prints a value, or reads shorthand."""
import argparse, io, json, os, sys

# The colours of the AWS CLI wrap sys.stdout; answers go past them.
answers = os.fdopen(os.dup(1), "w")

import jmespath
from awscli.formatter import get_formatter
from awscli.shorthand import ShorthandParser


def printed(case):
    query = jmespath.compile(case["query"]) if case.get("query") else None
    args = argparse.Namespace(query=query, color=case.get("color", "off"))
    out = io.StringIO()
    get_formatter(case["format"], args)(case["title"], case["value"], out)
    return out.getvalue()


def answer(case):
    try:
        if "shorthand" in case:
            return {"out": json.dumps(ShorthandParser().parse(case["shorthand"]), separators=(",", ":"))}
        return {"out": printed(case)}
    except Exception as e:
        return {"error": str(e) or type(e).__name__}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), file=answers, flush=True)
