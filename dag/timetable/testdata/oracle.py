"""Prints what Airflow's cron timetables compute, for the differential test.

Reads lines "expression<TAB>zone<TAB>unix microseconds", prints "next<TAB>prev" in unix microseconds, "error" for an
expression that croniter rejects, and "none" where it finds no date.
"""
import datetime
import sys

import pendulum
from croniter import CroniterBadDateError, croniter

UTC = pendulum.timezone("UTC")


def aware(naive, zone):
    return zone.convert(naive.replace(fold=1))


def walk(expression, zone, now, step):
    local = now.in_timezone(zone)
    naive = datetime.datetime(*local.timetuple()[:6], local.microsecond)
    cron = croniter(expression, start_time=naive)
    tick = cron.get_next(datetime.datetime) if step > 0 else cron.get_prev(datetime.datetime)
    if cron.expanded[1] != ["*"]:
        return pendulum.instance(aware(tick, zone)).in_timezone(UTC)
    return (local + (tick - naive) if step > 0 else local - (naive - tick)).in_timezone(UTC)


def micros(moment):
    return moment.int_timestamp * 1_000_000 + moment.microsecond


def answer(expression, zone, now, step):
    try:
        return str(micros(walk(expression, zone, now, step)))
    except CroniterBadDateError:
        return "none"


for line in sys.stdin:
    expression, zone, at = line.rstrip("\n").split("\t")
    zone = pendulum.timezone(zone)
    now = pendulum.from_timestamp(0, tz=UTC) + datetime.timedelta(microseconds=int(at))
    try:
        croniter(expression)
    except Exception:
        print("error\terror")
        continue
    print(answer(expression, zone, now, 1), answer(expression, zone, now, -1), sep="\t")
