"""glue:startJobRun and glue:startJobRun.sync for the emulated Step Functions, and a start that is asked for twice."""

import json
import threading
import time

from ministack.core.responses import json_response
from ministack.services import glue, stepfunctions

from embedded_aws.glue_jobs import ACTIVE, batch_stop_job_run

RESOURCE = "arn:aws:states:::glue:startJobRun"
POLL_SECONDS = 0.2

# The execution that a thread works for; the emulator runs each in a thread of its own and does not tell a task whose it is.
_working_for = threading.local()
_emulator_run_execution = stepfunctions._run_execution
_emulator_start_execution = stepfunctions._start_execution


def install() -> None:
    """Add the integration to the emulator's."""
    stepfunctions._SERVICE_DISPATCH[RESOURCE] = start_job_run
    stepfunctions._run_execution = _run_execution
    stepfunctions._start_execution = _start_execution


def _start_execution(data: dict) -> tuple:
    """Asked twice for an execution with the same name and input, Step Functions answers with the first one while it runs."""
    for arn, found in list(stepfunctions._executions.items()):
        same = (found["stateMachineArn"], found["name"], found["input"])
        if found["status"] == "RUNNING" and same == (data.get("stateMachineArn"), data.get("name"), data.get("input", "{}")):
            return json_response({"executionArn": arn, "startDate": found["startDate"]})
    return _emulator_start_execution(data)


def _run_execution(arn: str) -> None:
    _working_for.execution = stepfunctions._executions.get(arn)
    _emulator_run_execution(arn)


def start_job_run(resource: str, data: dict) -> dict:
    """Start a run; with .sync wait for its end. Fails as Step Functions does: Glue.<error> when the run cannot start,
    States.TaskFailed with the run as cause when it did not succeed. An execution that is stopped stops its run."""
    status, _, body = glue._start_job_run(data)
    answer = json.loads(body)
    if status >= 400:
        raise stepfunctions._ExecutionError(f"Glue.{answer['__type'].rsplit('#', 1)[-1]}", answer.get("message", ""))
    if not resource.endswith(".sync"):
        return answer
    execution = getattr(_working_for, "execution", None)
    while True:
        run = next(run for run in glue._job_runs[data["JobName"]] if run["Id"] == answer["JobRunId"])
        if run["JobRunState"] not in ACTIVE:
            break
        if execution is not None and execution["status"] != "RUNNING" and run["JobRunState"] != "STOPPING":
            batch_stop_job_run({"JobName": data["JobName"], "JobRunIds": [run["Id"]]})
        time.sleep(POLL_SECONDS)
    stopped = execution is not None and execution["status"] != "RUNNING"
    # An error would make the emulator call a stopped execution a failed one.
    if run["JobRunState"] != "SUCCEEDED" and not stopped:
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(run))
    return dict(run)
