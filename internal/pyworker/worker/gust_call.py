"""One call: reads it from its channel, runs it, answers. One JSON object per line, see protocol.go.

Gust -> here: the call, then answers to questions. Here -> Gust: {"log": ...}, {"ask": ...} and at last {"done": ...} or
{"raised": ...}.
"""

import importlib
import importlib.machinery
import inspect
import io
import itertools
import json
import logging
import os
import signal
import sys
import threading
import traceback
import types

import gust_airflow
import gust_context
import gust_value

PROTOCOL = 1


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class Terminated(BaseException):
    """Raised by SIGTERM in the main thread, so that finally blocks run. Airflow raises AirflowTaskTerminated."""


class Channel:
    """The two directions of the call's socket. Threads of the callable may use it at once."""

    def __init__(self, fd):
        self.fd = fd
        self.input = b""
        self.sending = threading.Lock()
        self.asking = threading.Lock()
        self.pid = os.getpid()

    def send(self, message):
        if os.getpid() != self.pid:
            return  # a fork of the callable's: its parent speaks for it
        data = _encode(message).encode("utf-8", "replace") + b"\n"
        with self.sending:
            while data:
                data = data[os.write(self.fd, data):]

    def receive(self):
        line, found, rest = self.input.partition(b"\n")
        if not found:
            parts = [self.input]
            while not found:
                data = os.read(self.fd, 1 << 18)
                if not data:
                    raise EOFError("Gust has closed the channel")
                head, found, rest = data.partition(b"\n")
                parts.append(head)
            line = b"".join(parts)
        self.input = rest
        return json.loads(line)

    def ask(self, what, **arguments):
        """Asks Gust something. Returns the value; raises NotFound when there is none."""
        if os.getpid() != self.pid:
            raise RuntimeError("%s is not available in a forked process; ask in the task's own process" % what)
        with self.asking:
            self.send({"ask": what, "args": arguments})
            answer = self.receive()
        if "error" in answer:
            if answer.get("missing"):
                raise gust_context.NotFound(answer["error"])
            raise gust_airflow.AirflowException(answer["error"])
        return answer.get("value")


class Stream(io.TextIOBase):
    """sys.stdout or sys.stderr: whole lines go to the task's log in order with its log records."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, channel, name, fd):
        self.channel, self._name, self._fd = channel, name, fd
        self.rest = ""
        self.lock = threading.RLock()
        self._buffer = None

    @property
    def buffer(self):
        if self._buffer is None:
            self._buffer = io.BufferedWriter(io.FileIO(self._fd, "wb", closefd=False))
        return self._buffer

    @property
    def name(self):
        return "<%s>" % self._name

    def fileno(self):
        return self._fd

    def writable(self):
        return True

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not %s" % type(text).__name__)
        if os.getpid() != self.channel.pid:  # a fork of the callable's
            self.buffer.write(text.encode("utf-8", "backslashreplace"))
            self.buffer.flush()
            return len(text)
        with self.lock:
            *lines, self.rest = (self.rest + text).split("\n")
            if len(self.rest) > 65536:
                lines.append(self.rest)
                self.rest = ""
            for line in lines:
                self.channel.send({"log": "INFO", "message": line.rstrip("\r"), "source": self._name})
        return len(text)

    def flush(self):
        if self._buffer is not None:
            self._buffer.flush()

    def finish(self):
        with self.lock:
            if self.rest:
                self.write("\n")
        self.flush()


class Handler(logging.Handler):
    """Hands log records to the task's log with their levels."""

    channel = None

    def emit(self, record):
        try:
            text = self.format(record)
            for line in text.split("\n"):
                self.channel.send({"log": record.levelname, "level": record.levelno, "message": line, "logger": record.name})
        except Exception:
            self.handleError(record)


_handler = Handler()


def ready():
    """Does what all calls have in common, before any of them is forked."""
    root = logging.getLogger()
    root.handlers[:] = [_handler]
    root.setLevel("INFO")
    logging.captureWarnings(True)


class Call:
    def __init__(self, channel, spec):
        self.channel = channel
        self.spec = spec
        self.context = None

    def prepare(self):
        spec = self.spec
        os.environ.update(spec.get("env") or {})
        for folder in spec.get("path") or []:
            if folder not in sys.path:
                sys.path.append(folder)
        sys.dont_write_bytecode = True  # a pipelines folder holds no caches; packages bring theirs along
        _handler.channel = self.channel
        if spec.get("log_level"):
            logging.getLogger().setLevel(spec["log_level"])
        self.context = gust_context.build(spec.get("context"), self.channel.ask)
        gust_airflow.enter(self.context, self.channel.ask)

    def function(self):
        c = self.spec["callable"]
        if c.get("source"):
            return eval(compile(c["source"], "<pipeline file>", "eval"), {"__builtins__": __builtins__})
        if c.get("file"):
            module, name, where = _from_file(c["file"]), c["name"], c["file"]
        else:
            module, name = _from_path(c["path"])
            where = module.__name__
        found = module
        for part in name.split("."):
            try:
                found = getattr(found, part)
            except AttributeError:
                known = [n for n, v in vars(found).items() if callable(v) and not n.startswith("_")]
                raise gust_airflow.AirflowFailException(
                    "%s has no %r; it has %s" % (where, name, ", ".join(known) or "no functions")
                ) from None
        if not callable(found):
            raise gust_airflow.AirflowFailException(
                "%s of %s is a %s, which cannot be called" % (name, where, type(found).__name__)
            )
        return found

    def arguments(self, function):
        """Chooses the keyword arguments as Airflow does: of the context those that the signature names."""
        given = _objects(self.spec.get("kwargs") or {})
        args = _objects(self.spec.get("args") or [])
        if self.context is not None:
            self.context["templates_dict"] = self.spec.get("templates_dict")
        if self.spec.get("call_with_context"):
            return [gust_context.complete(self.context)] + args, given
        known = _parameters(function)
        if known is None:
            return args, given  # a function written in C
        parameters, wildcard = known
        if self.context is not None and (wildcard or not gust_context.LAZY.isdisjoint(parameters)):
            gust_context.complete(self.context)
        offered = dict(self.context or {})
        if self.spec.get("date_first") and self.context is not None:
            args.insert(0, self.context["logical_date"])
            offered.pop("logical_date", None)
            offered.pop("execution_date", None)
        offered.update(given)
        for name in itertools.islice(parameters, len(args)):
            if name in offered:
                raise ValueError("The key %r in args is a part of kwargs and therefore reserved." % name)
        if wildcard:
            return args, offered
        unknown = [name for name in given if name not in parameters]
        if unknown and self.spec.get("strict"):
            raise gust_airflow.AirflowFailException(
                "%s() has no argument %s; it has %s" % (
                    getattr(function, "__name__", function), ", ".join(map(repr, unknown)), ", ".join(parameters) or "none",
                )
            )
        if unknown:
            logging.getLogger("gust").warning(
                "%s() has no argument %s; it is left out, as Airflow does", getattr(function, "__name__", function),
                ", ".join(map(repr, unknown)),
            )
        return args, {name: offered[name] for name in parameters if name in offered and parameters[name]}

    def run(self):
        function = self.function()
        if self.spec.get("call_with_context") and isinstance(function, type) and hasattr(function, "notify"):
            function = _notifier(function)
        args, kwargs = self.arguments(function)
        value = function(*args, **kwargs)
        if hasattr(value, "__await__") or isinstance(value, types.AsyncGeneratorType):
            import asyncio  # few functions need it

            value = asyncio.run(_collected(value) if isinstance(value, types.AsyncGeneratorType) else _awaited(value))
        done = {}
        if self.spec.get("want_truth"):
            done["truth"] = bool(value)
        if self.spec.get("want_value"):
            done["value"] = gust_value.encode(value)
            if isinstance(value, dict) and _returns_dict(function):
                done["multiple"] = True
        if self.context is not None:
            done["rendered"] = gust_context.additions(self.context)
        return done


def _parameters(function):
    """The parameters in order, each with whether it may be given by name, and whether there is a **kwargs."""
    if type(function) is types.FunctionType and not hasattr(function, "__wrapped__"):
        # The common case, without the cost of a Signature.
        code = function.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        by_name = {name: i >= code.co_posonlyargcount for i, name in enumerate(names)}
        return by_name, bool(code.co_flags & inspect.CO_VARKEYWORDS)
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None
    wildcard = False
    by_name = {}
    for name, p in parameters.items():
        if p.kind is p.VAR_KEYWORD:
            wildcard = True
        elif p.kind is not p.VAR_POSITIONAL:
            by_name[name] = p.kind is not p.POSITIONAL_ONLY
    return by_name, wildcard


def _notifier(cls):
    """Airflow's notifiers are classes: made of the arguments, told the context."""
    return lambda context, /, **arguments: cls(**arguments).notify(context)


async def _awaited(value):
    return await value


async def _collected(value):
    return [item async for item in value]


def _returns_dict(function):
    """Whether @task would infer multiple_outputs: the return annotation is a dict."""
    annotation = getattr(function, "__annotations__", {}).get("return")
    if isinstance(annotation, str):
        return annotation.split("[")[0].split(".")[-1].strip() in ("dict", "Dict", "Mapping", "MutableMapping")
    origin = getattr(annotation, "__origin__", annotation)
    return isinstance(origin, type) and (issubclass(origin, dict) or origin.__name__ in ("Mapping", "MutableMapping"))


def _from_file(path):
    stem = os.path.splitext(os.path.basename(path))[0]
    name = stem if stem.isidentifier() and stem not in sys.modules else "_gust_" + "".join(
        c if c.isalnum() else "_" for c in stem
    )
    folder = os.path.dirname(path)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        with open(path, "rb") as f:
            text = f.read()
    except OSError as e:
        raise gust_airflow.AirflowFailException(
            "python_callable_file: there is no Python file %s (%s)" % (path, e.strerror)
        ) from None
    module = types.ModuleType(name)
    module.__file__ = path
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, origin=path)
    sys.modules[name] = module
    exec(compile(text, path, "exec", dont_inherit=True), module.__dict__)
    return module


def _objects(value):
    """Makes the objects that a pipeline file writes as {__type__: class, __args__: [...], name: value}."""
    if isinstance(value, list):
        return [_objects(item) for item in value]
    if not isinstance(value, dict):
        return value
    path = value.get("__type__")
    made = {name: _objects(item) for name, item in value.items() if name not in ("__type__", "__args__") or path is None}
    if not isinstance(path, str):
        return made
    module, name = _from_path(path)
    found = module
    for part in name.split("."):
        found = getattr(found, part)
    return found(*_objects(value.get("__args__") or []), **made)


def _from_path(path):
    """Imports the longest part of a dotted path that is a module; returns it and the rest."""
    parts = path.split(".")
    for i in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:i])
        try:
            return importlib.import_module(name), ".".join(parts[i:])
        except ModuleNotFoundError as e:
            # Only that the module itself, or a part of its path, does not exist leads on; what it imports is its business.
            if e.name is None or not (name == e.name or name.startswith(e.name + ".")):
                raise
            missing = e
    raise gust_airflow.AirflowFailException(
        "%s: no module %r in %s; put the file beside the pipeline file, or install the package for %s"
        % (path, missing.name, ", ".join(sys.path[-2:]), sys.executable)
    )


_OWN = frozenset(m.__file__ for m in (gust_airflow, gust_context, gust_value)) | {__file__}


def _trimmed(tb):
    """Drops the frames of this worker and of the import machinery at the beginning of a traceback."""
    while tb is not None and (
        tb.tb_frame.f_code.co_filename in _OWN or "importlib" in tb.tb_frame.f_code.co_filename
    ):
        tb = tb.tb_next
    return tb


def _raised(error):
    """Describes an exception. Its class names tell Gust what it means, wherever the class comes from."""
    names = [c.__name__ for c in type(error).__mro__]
    try:
        text = str(error)
    except Exception as e:
        text = "(its text raised %s)" % type(e).__name__
    at = getattr(error, "reschedule_date", None)
    return {
        "class": type(error).__name__, "classes": names, "text": text,
        "reschedule_at": gust_context.iso(at) if at is not None else None,
    }


def _log_exception(channel, error, level):
    lines = traceback.format_exception(type(error), error, _trimmed(error.__traceback__))
    text = "".join(lines).rstrip("\n")
    for line in text.split("\n"):
        channel.send({"log": level, "level": logging.getLevelName(level), "message": line, "logger": "task"})


def _quiet(error):
    names = {c.__name__ for c in type(error).__mro__}
    return "AirflowSkipException" in names or "AirflowRescheduleException" in names


def run(fd):
    """Runs the call that the socket brings and returns the exit status."""
    channel = Channel(fd)
    try:
        spec = channel.receive()
    except EOFError:
        return 70
    if spec.get("gust") != PROTOCOL:
        return 71
    out, err = Stream(channel, "stdout", 1), Stream(channel, "stderr", 2)
    sys.stdout, sys.stderr = out, err
    sys.__stdout__, sys.__stderr__ = out, err

    def terminate(number, frame):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated("killed")

    signal.signal(signal.SIGTERM, terminate)
    call = Call(channel, spec)
    try:
        call.prepare()
        outcome = {"done": call.run()}
    except SystemExit as e:
        if e.code in (None, 0):
            outcome = {"done": {}}
        else:
            outcome = {"raised": {"class": "SystemExit", "classes": ["SystemExit"], "text": str(e.code)}}
    except Terminated:
        return 143
    except BaseException as e:
        if not _quiet(e):
            _log_exception(channel, e, "ERROR")
        outcome = {"raised": _raised(e)}
        if call.context is not None:
            outcome["raised"]["rendered"] = gust_context.additions(call.context)
    for stream in (out, err):
        stream.finish()
    logging.shutdown()
    try:
        channel.send(outcome)
    except ValueError as e:  # not JSON after all
        channel.send({"raised": {"class": "ValueError", "classes": ["ValueError"], "text": str(e)}})
    return 0
