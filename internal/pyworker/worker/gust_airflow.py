"""Stand-ins for the parts of Airflow that callables import, used when Airflow is not installed.

They are found after everything that is installed, so that a real Airflow is used where there is one.
"""

import importlib.abc
import importlib.machinery
import json
import logging
import sys
import types

import gust_context


class AirflowException(Exception):
    status_code = 500


class AirflowFailException(AirflowException):
    """The task fails without a retry."""


class AirflowSkipException(AirflowException):
    """The task is skipped."""


class AirflowNotFoundException(AirflowException):
    status_code = 404


class AirflowConfigException(AirflowException):
    pass


class AirflowBadRequest(AirflowException):
    status_code = 400


class AirflowTaskTimeout(BaseException):
    pass


class AirflowSensorTimeout(AirflowException):
    pass


class AirflowRescheduleException(AirflowException):
    def __init__(self, reschedule_date):
        super().__init__("rescheduled at %s" % reschedule_date)
        self.reschedule_date = reschedule_date


class XComNotFound(AirflowException):
    pass


_state = types.SimpleNamespace(context=None, ask=None)


def enter(context, ask):
    _state.context, _state.ask = context, ask


def get_current_context():
    if _state.context is None:
        raise AirflowException("Current context was requested but no context was found! Are you running within a task?")
    return gust_context.complete(_state.context)


_UNSET = object()


class Variable:
    """Airflow's Variable, for reading."""

    def __init__(self, key=None, val=None, description=None):
        self.key, self.val, self.description = key, val, description

    @classmethod
    def get(cls, key, default_var=_UNSET, deserialize_json=False, default=_UNSET):
        given = default if default is not _UNSET else default_var
        if given is _UNSET:
            given = gust_context._UNSET
        try:
            return gust_context.variable(_state.ask, key, given, deserialize_json)
        except gust_context.NotFound as e:
            raise KeyError(str(e)) from None

    @classmethod
    def set(cls, key, value, description=None, serialize_json=False):
        raise AirflowException("a task cannot set variables in Gust; return the value, or run gust variables set")


class Connection(gust_context.Connection):
    @classmethod
    def get(cls, conn_id):
        return get_connection(conn_id)

    @classmethod
    def get_connection_from_secrets(cls, conn_id):
        return get_connection(conn_id)


def get_connection(conn_id):
    try:
        return gust_context.connection(_state.ask, conn_id)
    except gust_context.NotFound as e:
        raise AirflowNotFoundException(str(e)) from None


class BaseHook:
    def __init__(self, logger_name=None):
        pass

    @classmethod
    def get_connection(cls, conn_id):
        return get_connection(conn_id)

    @property
    def log(self):
        return logging.getLogger("airflow.hooks")


class BaseNotifier:
    """The base of notifiers: a class with notify(context)."""

    template_fields = ()

    def __init__(self, **kwargs):
        self.__dict__.update(kwargs)

    def __call__(self, *args):
        context = args[0] if args else get_current_context()
        return self.notify(context)

    def notify(self, context):
        raise NotImplementedError("%s has no notify" % type(self).__name__)

    @property
    def log(self):
        return logging.getLogger("airflow.notifier")


class Headers(dict):
    """Headers by name, in whatever case."""

    def __init__(self, items):
        super().__init__((name.lower(), value) for name, value in items.items())

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def __contains__(self, name):
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name, default=None):
        return super().get(name.lower(), default)


class Response:
    """What the check of an HTTP sensor gets: of requests.Response what checks look at."""

    encoding = "utf-8"

    def __init__(self, status_code, text, headers, reason="", url=""):
        self.status_code, self.text, self.reason, self.url = status_code, text, reason, url
        self.headers = Headers(headers)

    @property
    def content(self):
        return self.text.encode()

    @property
    def ok(self):
        return self.status_code < 400

    def json(self):
        return json.loads(self.text)

    def raise_for_status(self):
        if not self.ok:
            raise RuntimeError("%d %s" % (self.status_code, self.reason))


class Param:
    def __init__(self, default=None, description=None, **schema):
        self.value, self.description, self.schema = default, description, schema

    def resolve(self, value=_UNSET, suppress_exception=False):
        return self.value if value is _UNSET else value


class Asset:
    def __init__(self, name=None, uri=None, group="asset", extra=None, **_):
        self.uri = uri if uri is not None else name
        self.name = name if name is not None else uri
        self.group, self.extra = group, extra or {}

    def __hash__(self):
        return hash(self.uri)

    def __eq__(self, other):
        return isinstance(other, Asset) and self.uri == other.uri

    def __repr__(self):
        return "Asset(name=%r, uri=%r)" % (self.name, self.uri)


class Dataset(Asset):
    def __init__(self, uri, extra=None):
        super().__init__(uri=uri, extra=extra)


class _Decorator:
    """@task, @task.branch, @task(...): the function stays a function, for the pipeline file says which task it is."""

    def __init__(self, kind="task"):
        self._kind = kind

    def __call__(self, function=None, **_):
        if callable(function):
            return _plain(function)
        return _plain

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return _Decorator(self._kind + "." + name)


def _plain(function):
    function.override = lambda **_: function
    function.partial = lambda **_: function
    return function


task = _Decorator()
setup = _Decorator("setup")
teardown = _Decorator("teardown")


class _Names:
    """A group of constants such as airflow.utils.state.State."""

    def __init__(self, **values):
        self.__dict__.update(values)


_STATES = {
    n.upper(): n for n in (
        "removed", "scheduled", "queued", "running", "success", "restarting", "failed", "up_for_retry",
        "up_for_reschedule", "upstream_failed", "skipped", "deferred",
    )
}
State = _Names(NONE=None, **_STATES)
DagRunState = _Names(QUEUED="queued", RUNNING="running", SUCCESS="success", FAILED="failed")
TriggerRule = _Names(**{
    n.upper(): n for n in (
        "all_success", "all_failed", "all_done", "one_success", "one_failed", "one_done", "none_failed", "none_skipped",
        "always", "none_failed_min_one_success", "all_skipped",
    )
})

_EXCEPTIONS = {
    c.__name__: c for c in (
        AirflowException, AirflowFailException, AirflowSkipException, AirflowNotFoundException, AirflowConfigException,
        AirflowBadRequest, AirflowTaskTimeout, AirflowSensorTimeout, AirflowRescheduleException, XComNotFound,
    )
}
_TASK = {"task": task, "setup": setup, "teardown": teardown}
_CONTEXT = {"get_current_context": get_current_context}
_MODELS = {"Variable": Variable, "Connection": Connection, "Param": Param, "TaskInstance": gust_context.TaskInstance}

MODULES = {
    "airflow": {"__version__": "0+gust"},
    "airflow.exceptions": _EXCEPTIONS,
    "airflow.decorators": _TASK,
    "airflow.sdk": dict(
        _TASK, Variable=Variable, Connection=Connection, Param=Param, Asset=Asset, BaseHook=BaseHook, Context=dict,
        BaseNotifier=BaseNotifier, TriggerRule=TriggerRule, **_CONTEXT,
    ),
    "airflow.sdk.exceptions": _EXCEPTIONS,
    "airflow.sdk.definitions": {},
    "airflow.sdk.definitions.decorators": _TASK,
    "airflow.sdk.definitions.context": dict(_CONTEXT, Context=dict),
    "airflow.sdk.definitions.param": {"Param": Param},
    "airflow.sdk.definitions.asset": {"Asset": Asset},
    "airflow.sdk.bases": {},
    "airflow.sdk.bases.hook": {"BaseHook": BaseHook},
    "airflow.sdk.bases.notifier": {"BaseNotifier": BaseNotifier},
    "airflow.models": _MODELS,
    "airflow.models.variable": {"Variable": Variable},
    "airflow.models.connection": {"Connection": Connection},
    "airflow.models.param": {"Param": Param},
    "airflow.models.taskinstance": {"TaskInstance": gust_context.TaskInstance},
    "airflow.hooks": {},
    "airflow.hooks.base": {"BaseHook": BaseHook},
    "airflow.notifications": {},
    "airflow.notifications.basenotifier": {"BaseNotifier": BaseNotifier},
    "airflow.operators": {},
    "airflow.operators.python": _CONTEXT,
    "airflow.providers": {},
    "airflow.providers.standard": {},
    "airflow.providers.standard.operators": {},
    "airflow.providers.standard.operators.python": _CONTEXT,
    "airflow.datasets": {"Dataset": Dataset},
    "airflow.utils": {},
    "airflow.utils.context": {"Context": dict},
    "airflow.utils.state": {"State": State, "TaskInstanceState": State, "DagRunState": DagRunState},
    "airflow.utils.trigger_rule": {"TriggerRule": TriggerRule},
}


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name != "airflow" and getattr(sys.modules.get("airflow"), "__version__", "") != MODULES["airflow"]["__version__"]:
            return None  # a real Airflow: what it has not, is not there
        if name in MODULES:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        if name.startswith("airflow."):
            raise ModuleNotFoundError(
                "No module named %r: Airflow is not installed for %s, and Gust's stand-in has no such module; install "
                "apache-airflow there, or import it only where it is needed" % (name, sys.executable), name=name,
            )
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        known = MODULES[module.__name__]
        module.__dict__.update(known)
        name = module.__name__

        def missing(attribute):
            if attribute.startswith("__") or name + "." + attribute in MODULES:
                raise AttributeError(attribute)
            raise ImportError(
                "cannot import name %r from %r: Airflow is not installed for %s, and Gust's stand-in has only %s"
                % (attribute, name, sys.executable, ", ".join(sorted(n for n in known if not n.startswith("_"))) or "nothing")
            )

        module.__getattr__ = missing


def install():
    sys.meta_path.append(_Finder())
