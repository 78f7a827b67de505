"""What people do with boto3, unchanged, against the endpoint in AWS_ENDPOINT_URL_SFN. Ends with the first surprise."""
import concurrent.futures
import json
import os
import time

import boto3
from botocore.config import Config

machines = json.loads(os.environ["MACHINES"])
role = "arn:aws:iam::123456789012:role/any"
sfn = boto3.client("stepfunctions", config=Config(inject_host_prefix=False, max_pool_connections=20))


def same(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def create(name, definition, **more):
    return sfn.create_state_machine(name=name, definition=definition, roleArn=role, **more)["stateMachineArn"]


def outcome(arn):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        described = sfn.describe_execution(executionArn=arn)
        if described["status"] != "RUNNING":
            return described
        time.sleep(0.01)
    raise AssertionError(f"{arn} does not end")


def run(name, definition, value):
    arn = sfn.start_execution(stateMachineArn=create(name, definition), input=json.dumps(value))["executionArn"]
    return outcome(arn)


def activity():
    arn = sfn.create_activity(name="approve")["activityArn"]
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": arn, "End": True}}})
    machine = create("approvals", definition)
    execution = sfn.start_execution(stateMachineArn=machine, input='{"order": 7}')["executionArn"]
    task = sfn.get_activity_task(activityArn=arn, workerName="worker")
    same(json.loads(task["input"]), {"order": 7})
    sfn.send_task_heartbeat(taskToken=task["taskToken"])
    sfn.send_task_success(taskToken=task["taskToken"], output='{"approved": true}')
    same(json.loads(outcome(execution)["output"]), {"approved": True})
    try:
        sfn.send_task_success(taskToken=task["taskToken"], output="1")
        raise AssertionError("a token was answered twice")
    except sfn.exceptions.TaskTimedOut:
        pass
    execution = sfn.start_execution(stateMachineArn=machine)["executionArn"]
    task = sfn.get_activity_task(activityArn=arn)
    sfn.send_task_failure(taskToken=task["taskToken"], error="Refused", cause="too dear")
    ended = outcome(execution)
    same((ended["status"], ended["error"], ended["cause"]), ("FAILED", "Refused", "too dear"))
    types = [event["type"] for event in sfn.get_execution_history(executionArn=execution)["events"]]
    same(types, ["ExecutionStarted", "TaskStateEntered", "ActivityScheduled", "ActivityStarted", "ActivityFailed", "ExecutionFailed"])
    sfn.delete_state_machine(stateMachineArn=machine)
    sfn.delete_activity(activityArn=arn)
    same(sfn.list_activities()["activities"], [])


def languages():
    same(run("hello", machines["hello"], {})["output"], '"World"')
    same(run("chain", machines["chain"], 20)["output"], "41")
    same(run("choice", machines["choice"], {"size": 3})["output"], '"small"')
    same(run("retry", machines["retry"], {})["output"], '"third time lucky"')
    same(json.loads(run("catch", machines["catch"], {})["output"])["caught"]["Error"], "Custom.Error")
    same(run("sum", machines["jsonata"], {"numbers": [1, 2]})["output"], '{"sum":3}')


def listing():
    names = set()
    for page in sfn.get_paginator("list_state_machines").paginate(PaginationConfig={"PageSize": 2}):
        names.update(machine["name"] for machine in page["stateMachines"])
    same(names, {"hello", "chain", "choice", "retry", "catch", "sum"})
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:hello"
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        starts = [pool.submit(sfn.start_execution, stateMachineArn=machine, name=f"n-{i}") for i in range(10)]
    for start in starts:
        same(outcome(start.result()["executionArn"])["status"], "SUCCEEDED")
    pages = sfn.get_paginator("list_executions").paginate(
        stateMachineArn=machine, statusFilter="SUCCEEDED", PaginationConfig={"PageSize": 3, "MaxItems": 10})
    same(len(pages.build_full_result()["executions"]), 10)
    history = sfn.get_paginator("get_execution_history").paginate(
        executionArn=starts[0].result()["executionArn"], PaginationConfig={"PageSize": 2})
    same([event["id"] for event in history.search("events[]")], [1, 2, 3, 4, 5, 6])


def versions():
    created = sfn.create_state_machine(
        name="versioned", definition=machines["hello"], roleArn=role, publish=True, versionDescription="first")
    first, machine = created["stateMachineVersionArn"], created["stateMachineArn"]
    same(first, machine + ":1")
    updated = sfn.update_state_machine(stateMachineArn=machine, definition=machines["wait"], publish=True)
    second = updated["stateMachineVersionArn"]
    alias = sfn.create_state_machine_alias(name="live", routingConfiguration=[
        {"stateMachineVersionArn": first, "weight": 100}])["stateMachineAliasArn"]
    execution = sfn.start_execution(stateMachineArn=alias)["executionArn"]
    ended = outcome(execution)
    same((ended["stateMachineAliasArn"], ended["stateMachineVersionArn"]), (alias, first))
    sfn.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=[
        {"stateMachineVersionArn": second, "weight": 100}])
    execution = sfn.start_execution(stateMachineArn=alias)["executionArn"]
    sfn.stop_execution(executionArn=execution, error="Enough", cause="of waiting")
    same(outcome(execution)["error"], "Enough")
    try:
        sfn.delete_state_machine_version(stateMachineVersionArn=second)
        raise AssertionError("a version in use was deleted")
    except sfn.exceptions.ConflictException:
        pass
    sfn.delete_state_machine_alias(stateMachineAliasArn=alias)
    sfn.delete_state_machine_version(stateMachineVersionArn=second)
    same([v["stateMachineVersionArn"] for v in sfn.list_state_machine_versions(stateMachineArn=machine)["stateMachineVersions"]], [first])


def express():
    machine = create("express", machines["chain"], type="EXPRESS")
    ended = sfn.start_sync_execution(stateMachineArn=machine, input="4")
    same((ended["status"], ended["output"]), ("SUCCEEDED", "9"))
    assert ended["billingDetails"]["billedMemoryUsedInMB"] > 0
    ended = sfn.start_sync_execution(stateMachineArn=machine, input='"x"')
    same((ended["status"], ended["error"]), ("FAILED", "NotANumber"))
    tested = sfn.test_state(definition=json.dumps({"Type": "Choice", "Choices": [
        {"Variable": "$.n", "NumericEquals": 1, "Next": "One"}], "Default": "Other"}), roleArn=role, input='{"n": 1}')
    same((tested["status"], tested["nextState"]), ("SUCCEEDED", "One"))


for flow in (activity, languages, listing, versions, express):
    flow()
    print(flow.__name__, "ok")
