"""Functions of the pipeline python_tasks. They are plain Python: nothing here needs Airflow or Gust to be installed."""

import logging
import statistics

from airflow.exceptions import AirflowSkipException
from airflow.sdk import get_current_context

log = logging.getLogger(__name__)

CITIES = {"Amsterdam": [7.5, 9.0, 8.5], "Lisbon": [17.0, 19.5, 21.0], "Oslo": []}


def cities(ds):
    """Returns what to measure: a list, over which the next task is mapped."""
    log.info("measuring %d cities on %s", len(CITIES), ds)
    return sorted(CITIES)


def measure(city, unit="C"):
    """Runs once for each city. One without values is skipped."""
    get_current_context()["city"] = city  # for map_index_template
    values = CITIES[city]
    if not values:
        raise AirflowSkipException("no thermometer in %s" % city)
    mean = statistics.mean(values)
    return {"city": city, "mean": mean * 9 / 5 + 32 if unit == "F" else mean}


def summarize(measured, warm_from: float) -> dict:
    """Returns several values: the annotation makes one XCom of each key."""
    warm = [m["city"] for m in measured if m["mean"] >= warm_from]
    return {"warm": warm, "warmest": max(measured, key=lambda m: m["mean"])["city"]}


def choose(ti):
    """Names the task to go on with."""
    return "warm_report" if ti.xcom_pull(task_ids="summarize", key="warm") else "cold_report"


def worth_telling(warmest, params):
    """Stops the pipeline when it returns something false."""
    return warmest != params["boring"]


def report(warmest, **context):
    """Gets all of Airflow's context in **context."""
    print("%s: %s is the warmest of %s" % (context["logical_date"].strftime("%d %B"), warmest, context["dag"].dag_id))


def ended(context, channel):
    """A callback: it is called with the context."""
    print("tell %s that %s succeeded" % (channel, context["ti"].task_id))
