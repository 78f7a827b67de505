"""Turns return values into plain JSON values, or says what in them cannot be one."""

import datetime
import enum
import math
import os
import types

MAX_DEPTH = 100


class Unserializable(TypeError):
    """Says where in a value something is that JSON cannot hold."""


def encode(value, path="the return value"):
    """Returns value made of None, bool, int, float, str, list and dict."""
    return _encode(value, path, 0)


def _encode(v, path, depth):
    if v is None or isinstance(v, (bool, str)) and type(v) in (bool, str):
        return v
    if depth > MAX_DEPTH:
        raise Unserializable("%s is nested deeper than %d levels, or contains itself" % (path, MAX_DEPTH))
    if isinstance(v, enum.Enum):
        return _encode(v.value, path, depth)
    if isinstance(v, bool):
        return v
    if isinstance(v, str):
        return str.__str__(v)
    if isinstance(v, int):
        return int(v)
    if isinstance(v, float):
        if not math.isfinite(v):
            raise Unserializable("%s is %r, which JSON cannot hold; return None or a string instead" % (path, v))
        return float(v)
    if isinstance(v, dict):
        return {_key(k, path): _encode(x, "%s[%r]" % (path, k), depth + 1) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        if hasattr(v, "_asdict"):
            return _encode(v._asdict(), path, depth)
        return [_encode(x, "%s[%d]" % (path, i), depth + 1) for i, x in enumerate(v)]
    if isinstance(v, (set, frozenset)):
        try:
            items = sorted(v)
        except TypeError:
            items = list(v)
        return [_encode(x, "an item of %s" % path, depth + 1) for x in items]
    return _convert(v, path, depth)


def _convert(v, path, depth):
    """Values of the types that have an obvious JSON counterpart."""
    if isinstance(v, (datetime.datetime, datetime.date, datetime.time)):
        return v.isoformat()
    if isinstance(v, datetime.timedelta):
        return v.total_seconds()
    if isinstance(v, os.PathLike) or _is(v, "decimal", "Decimal") or _is(v, "uuid", "UUID"):
        return str(v)
    if isinstance(v, (types.GeneratorType, range, map, filter, zip)) or type(v).__name__ in (
        "dict_keys", "dict_values", "dict_items",
    ):
        return [_encode(x, "%s[%d]" % (path, i), depth + 1) for i, x in enumerate(v)]
    if hasattr(type(v), "__dataclass_fields__"):
        return {n: _encode(getattr(v, n), "%s.%s" % (path, n), depth + 1) for n in type(v).__dataclass_fields__ if hasattr(v, n)}
    for method, arguments in (("model_dump", {"mode": "json"}), ("__json__", {}), ("tolist", {})):
        convert = getattr(v, method, None)  # pydantic; a common convention; numpy
        if callable(convert) and not isinstance(v, type):
            return _encode(convert(**arguments), path, depth + 1)
    raise Unserializable(
        "%s is of type %s.%s, which cannot be stored as JSON; return plain values (text, numbers, lists, dicts), or save it "
        "and return where it is" % (path, type(v).__module__, type(v).__qualname__)
    )


def _is(v, module, name):
    """Whether v is of a class of a module that need not be imported."""
    return any(c.__name__ == name and c.__module__ == module for c in type(v).__mro__)


def _key(k, path):
    if isinstance(k, enum.Enum):
        k = k.value
    if isinstance(k, str):
        return str.__str__(k)
    if k is None:
        return "null"
    if isinstance(k, bool):
        return "true" if k else "false"
    if isinstance(k, (int, float)):
        return repr(k)
    if isinstance(k, datetime.date) or _is(k, "uuid", "UUID"):
        return str(k)
    raise Unserializable("%s has the key %r of type %s; keys must be text" % (path, k, type(k).__name__))
