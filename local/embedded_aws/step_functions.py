"""glue:startJobRun and glue:startJobRun.sync for the emulated Step Functions."""

import json
import time

from ministack.services import glue, stepfunctions

from embedded_aws.glue_jobs import ACTIVE

RESOURCE = "arn:aws:states:::glue:startJobRun"
POLL_SECONDS = 0.2


def install() -> None:
    """Add the integration to the emulator's."""
    stepfunctions._SERVICE_DISPATCH[RESOURCE] = start_job_run


def start_job_run(resource: str, data: dict) -> dict:
    """Start a run; with .sync wait for its end. Fails as Step Functions does: Glue.<error> when the run cannot start,
    States.TaskFailed with the run as cause when it did not succeed."""
    status, _, body = glue._start_job_run(data)
    answer = json.loads(body)
    if status >= 400:
        raise stepfunctions._ExecutionError(f"Glue.{answer['__type'].rsplit('#', 1)[-1]}", answer.get("message", ""))
    if not resource.endswith(".sync"):
        return answer
    while True:
        run = next(run for run in glue._job_runs[data["JobName"]] if run["Id"] == answer["JobRunId"])
        if run["JobRunState"] not in ACTIVE:
            break
        time.sleep(POLL_SECONDS)
    if run["JobRunState"] != "SUCCEEDED":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(run))
    return dict(run)
