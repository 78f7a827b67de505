"""The context that Airflow gives its callables, made from what Gust sends and answers."""

import datetime
import json
import logging
import time

import gust_value

UTC = datetime.timezone.utc


class NotFound(LookupError):
    """There is no such value; the text says what there is."""


def _zone(name):
    if isinstance(name, datetime.tzinfo):
        return name
    if name.upper() == "UTC":
        return UTC
    try:
        from zoneinfo import ZoneInfo
    except ImportError:  # Python 3.8
        try:
            from backports.zoneinfo import ZoneInfo
        except ImportError:
            raise RuntimeError("the time zone %s needs Python 3.9, or the package backports.zoneinfo" % name) from None
    return ZoneInfo(name)


class DateTime(datetime.datetime):
    """A timezone-aware datetime with the methods of pendulum's that callables use."""

    def _like(self, other):
        return DateTime(
            other.year, other.month, other.day, other.hour, other.minute, other.second, other.microsecond, other.tzinfo,
            fold=other.fold,
        )

    def add(self, years=0, months=0, weeks=0, days=0, hours=0, minutes=0, seconds=0, microseconds=0):
        month = self.month - 1 + months + 12 * years
        year, month = self.year + month // 12, month % 12 + 1
        first = datetime.date(year + month // 12, month % 12 + 1, 1)
        last = (first - datetime.timedelta(days=1)).day
        moved = self.replace(year=year, month=month, day=min(self.day, last))
        return self._like(moved + datetime.timedelta(
            weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds,
        ))

    def subtract(self, **parts):
        return self.add(**{name: -n for name, n in parts.items()})

    def in_timezone(self, zone):
        return self._like(self.astimezone(_zone(zone)))

    in_tz = in_timezone

    def start_of(self, unit):
        if unit == "week":
            return self.subtract(days=self.weekday()).start_of("day")
        least = [("month", 1), ("day", 1), ("hour", 0), ("minute", 0), ("second", 0), ("microsecond", 0)]
        units = ["year", "month", "day", "hour", "minute", "second"]
        if unit not in units:
            raise ValueError("start_of(%r): expected week or one of %s" % (unit, ", ".join(units)))
        return self.replace(**dict(least[units.index(unit):]))

    def end_of(self, unit):
        return self.start_of(unit).add(**{unit + "s": 1}).subtract(microseconds=1)

    def to_date_string(self):
        return self.strftime("%Y-%m-%d")

    def to_time_string(self):
        return self.strftime("%H:%M:%S")

    def to_datetime_string(self):
        return self.strftime("%Y-%m-%d %H:%M:%S")

    def to_iso8601_string(self):
        return self.isoformat().replace("+00:00", "Z")

    @property
    def int_timestamp(self):
        return int(self.timestamp())

    @property
    def timezone_name(self):
        return self.tzname()


def moment(text):
    """Reads an RFC 3339 text in UTC; None stays None."""
    if not text:
        return None
    # Taken apart by hand: strptime would be imported anew in every call.
    fraction = text[20:].rstrip("Z") if text[19:20] == "." else ""
    return DateTime(
        int(text[0:4]), int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:16]), int(text[17:19]),
        int((fraction + "000000")[:6]), UTC,
    )


def iso(at):
    """Writes a datetime for Gust. One without a timezone is in UTC."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Object:
    """An Airflow object as far as Gust knows it."""

    _what = "object"

    def __init__(self, fields):
        self.__dict__.update(fields)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        known = ", ".join(sorted(n for n in self.__dict__ if not n.startswith("_")))
        raise AttributeError("Gust's %s has no attribute %r; it has %s" % (self._what, name, known))

    def __repr__(self):
        return "<%s>" % self._what


class Dag(Object):
    _what = "dag"

    def __repr__(self):
        return "<DAG: %s>" % self.dag_id

    @property
    def task_ids(self):
        return self._ask("task_ids")

    @property
    def timezone(self):
        return _zone(self.timezone_name)


class Task(Object):
    _what = "task"

    def __repr__(self):
        return "<Task(%s): %s>" % (self.task_type, self.task_id)

    @property
    def upstream_list(self):
        return [Task({"task_id": i, "task_type": "task"}) for i in sorted(self.upstream_task_ids)]

    @property
    def downstream_list(self):
        return [Task({"task_id": i, "task_type": "task"}) for i in sorted(self.downstream_task_ids)]


class DagRun(Object):
    _what = "dag_run"

    def __repr__(self):
        return "<DagRun %s @ %s: %s>" % (self.dag_id, self.logical_date, self.run_id)

    def get_state(self):
        return self.state


class TaskInstance(Object):
    _what = "task instance"

    def __repr__(self):
        return "<TaskInstance: %s.%s %s [%s]>" % (self.dag_id, self.task_id, self.run_id, self.state)

    def xcom_push(self, key, value, execution_date=None, session=None):
        self._ask("xcom_push", key=key, value=gust_value.encode(value, "the XCom %r" % key))

    def xcom_pull(
        self, task_ids=None, dag_id=None, key="return_value", include_prior_dates=False, session=None, *,
        map_indexes=None, default=None, run_id=None,
    ):
        if isinstance(task_ids, (list, tuple, set)):
            return [
                self.xcom_pull(i, dag_id, key, include_prior_dates, map_indexes=map_indexes, default=default, run_id=run_id)
                for i in task_ids
            ]
        if isinstance(map_indexes, (list, tuple, range, set)):
            return [
                self.xcom_pull(task_ids, dag_id, key, include_prior_dates, map_indexes=i, default=default, run_id=run_id)
                for i in map_indexes
            ]
        try:
            return self._ask(
                "xcom_pull", task_id=task_ids or "", dag_id=dag_id or "", run_id=run_id or "", key=key,
                map_index=map_indexes, prior_dates=bool(include_prior_dates),
            )
        except NotFound:
            return default

    def get_dagrun(self, session=None):
        return self.dag_run

    def get_template_context(self, session=None, ignore_param_exceptions=True):
        return complete(self._context)

    def current_state(self, session=None):
        return self.state

    @property
    def log(self):
        return logging.getLogger("airflow.task")


class Connection(Object):
    _what = "connection"

    def __repr__(self):
        return "<Connection: %s>" % self.conn_id

    @property
    def extra_dejson(self):
        return json.loads(self.extra) if self.extra else {}

    def get_extra_dejson(self):
        return self.extra_dejson

    def get_uri(self):
        return self._uri

    def get_password(self):
        return self.password

    @property
    def id(self):
        return self.conn_id


def connection(ask, conn_id):
    return Connection(ask("connection", id=conn_id))


class Connections:
    """conn.my_id, conn.get("my-id", default)."""

    def __init__(self, ask):
        self._ask = ask

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return connection(self._ask, name)

    def get(self, conn_id, default_conn=None):
        try:
            return connection(self._ask, conn_id)
        except NotFound:
            if default_conn is None:
                raise
            return default_conn


_UNSET = object()


def variable(ask, key, default=_UNSET, deserialize_json=False):
    try:
        value = ask("variable", key=key)
    except NotFound:
        if default is _UNSET:
            raise
        return default
    return json.loads(value) if deserialize_json else value


class Variables:
    """var.value.x, var.json.x, var.value.get("x", default)."""

    def __init__(self, ask, deserialize_json):
        self._ask, self._json = ask, deserialize_json

    def __getattr__(self, key):
        if key.startswith("__"):
            raise AttributeError(key)
        return variable(self._ask, key, deserialize_json=self._json)

    def get(self, key, default=None):
        return variable(self._ask, key, default, self._json)


class Var:
    def __init__(self, ask):
        self.value = Variables(ask, False)
        self.json = Variables(ask, True)


class Macros:
    timedelta = datetime.timedelta
    datetime = datetime.datetime
    time = time
    json = json

    @property
    def uuid(self):
        import uuid  # few functions need it

        return uuid

    @property
    def random(self):
        import random

        return random.random

    @staticmethod
    def ds_add(ds, days):
        return (datetime.datetime.strptime(str(ds), "%Y-%m-%d") + datetime.timedelta(days=days)).strftime("%Y-%m-%d")

    @staticmethod
    def ds_format(ds, input_format, output_format):
        return datetime.datetime.strptime(str(ds), input_format).strftime(output_format)

    @property
    def dateutil(self):
        import dateutil  # a package that may be installed

        return dateutil


class Events(dict):
    """inlet_events and outlet_events: any asset has an entry."""

    def __missing__(self, asset):
        self[asset] = entry = Object({"extra": {}})
        return entry


def _objects(sent, ask):
    """dag, task, dag_run and ti."""
    dag = Dag(dict(sent["dag"], params=sent.get("params") or {}, _ask=ask))
    for name in ("start_date", "end_date"):
        setattr(dag, name, moment(getattr(dag, name, None)))
    fields = dict(sent["task"])
    for name in ("retry_delay", "execution_timeout"):
        seconds = fields.get(name)
        fields[name] = datetime.timedelta(seconds=seconds) if seconds is not None else None
    for name in ("upstream_task_ids", "downstream_task_ids"):
        fields[name] = set(fields.get(name) or ())
    task = Task(dict(fields, dag=dag, dag_id=dag.dag_id, params=sent.get("params") or {}))
    task.log = logging.getLogger("airflow.task")
    run_fields = dict(sent["dag_run"])
    for name in ("logical_date", "data_interval_start", "data_interval_end", "start_date", "run_after"):
        run_fields[name] = moment(run_fields.get(name))
    run_fields["execution_date"] = run_fields["logical_date"]
    dag_run = DagRun(dict(run_fields, dag_id=dag.dag_id, dag=dag))
    ti_fields = dict(sent["ti"])
    ti_fields["start_date"] = moment(ti_fields.get("start_date"))
    ti = TaskInstance(dict(
        ti_fields, dag_id=dag.dag_id, run_id=dag_run.run_id, task=task, dag_run=dag_run, end_date=None, duration=None,
        logical_date=dag_run.logical_date, execution_date=dag_run.logical_date, _ask=ask,
    ))
    return dag, task, dag_run, ti


def build(sent, ask):
    """Makes the context from what Gust sends. None when the call has none."""
    if sent is None:
        return None
    dag, task, dag_run, ti = _objects(sent, ask)
    context = dict(sent.get("names") or {})
    context.update(
        dag=dag, task=task, dag_run=dag_run, ti=ti, task_instance=ti, run_id=dag_run.run_id, start_date=ti.start_date,
        params=sent.get("params") or {}, var=Var(ask), conn=Connections(ask), macros=Macros(), conf=None,
        logical_date=dag_run.logical_date, execution_date=dag_run.logical_date, map_index_template=None,
        data_interval_start=dag_run.data_interval_start, data_interval_end=dag_run.data_interval_end,
        inlet_events=Events(), outlet_events=Events(), templates_dict=None,
    )
    at = dag_run.logical_date
    if at is not None:
        for name, day in (("yesterday_ds", -1), ("ds", 0), ("tomorrow_ds", 1)):
            text = at.add(days=day).to_date_string()
            context[name], context[name + "_nodash"] = text, text.replace("-", "")
        context["ts"] = at.isoformat()
        context["ts_nodash"] = at.strftime("%Y%m%dT%H%M%S")
        context["ts_nodash_with_tz"] = at.strftime("%Y%m%dT%H%M%S") + "+0000"
    stamp = context.get("ds_nodash", dag_run.run_id)
    context["task_instance_key_str"] = "%s__%s__%s" % (dag.dag_id, task.task_id, stamp)
    ti._context, ti._known, ti._complete = context, frozenset(context), False
    return context


# Entries that Gust has to look for in other runs; it is asked for them once, when something may use them.
LAZY = frozenset((
    "prev_data_interval_start_success", "prev_data_interval_end_success", "prev_start_date_success", "prev_end_date_success",
    "prev_execution_date", "prev_execution_date_success", "prev_ds", "prev_ds_nodash", "next_execution_date", "next_ds",
    "next_ds_nodash",
))


def complete(context):
    """Adds the entries that are looked for only when they are needed."""
    ti = context["task_instance"]
    if ti._complete:
        return context
    ti._complete = True
    more = ti._ask("more")
    found = dict(more.get("names") or {})
    for name, text in (more.get("dates") or {}).items():
        found[name] = moment(text)
    found["prev_execution_date_success"] = found.get("prev_data_interval_start_success")
    for name, value in found.items():
        context.setdefault(name, value)
    ti._known |= frozenset(found)
    return context


def additions(context):
    """What the callable has put into the context, as far as it is plain: map_index_template may use it."""
    known = context["task_instance"]._known
    return {n: v for n, v in context.items() if n not in known and isinstance(v, (str, int, float, bool))}
