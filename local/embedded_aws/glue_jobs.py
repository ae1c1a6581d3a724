"""Glue job runs that really run: replaces the emulator's, which marks a job as succeeded without running it.

Kept as on Glue: the states of a run, MaxConcurrentRuns with ConcurrentRunsExceededException, the timeout, BatchStopJobRun,
ErrorMessage, and the logs in <prefix>/output and <prefix>/error, one stream a run
(prefix: --custom-logGroup-prefix, else /aws-glue/jobs; with encrypted logs <prefix>/<security configuration>-role/<role>).
"""

import atexit
import contextlib
import contextvars
import json
import logging
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import boto3
from ministack.core.responses import error_response_json, json_response, new_uuid
from ministack.services import glue
from ministack.services.cloudformation import provisioners

from embedded_aws import permissions
from embedded_aws.job_processes import EXPLAINS, BadDefinition, JobProcesses
from embedded_aws.security_configurations import encrypts_logs

logger = logging.getLogger("embedded_aws.glue_jobs")

ACTIVE = ("STARTING", "RUNNING", "STOPPING")
# Fields of a job that the emulator's CreateJob and CloudFormation drop, with Glue's defaults.
_ADDED_FIELDS = {"ExecutionProperty": {"MaxConcurrentRuns": 1}, "ExecutionClass": "STANDARD", "JobRunQueuingEnabled": False}
_NO_PYSPARK = "ModuleNotFoundError: No module named 'pyspark"
_LOG_LINE = re.compile(
    r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d |\s|WARNING: |Using |:: |Setting default log level |To adjust logging level "
)

_lock = threading.Lock()
_processes: dict[str, subprocess.Popen[bytes]] = {}
_emulator_create_job = glue._create_job


def install(processes: JobProcesses) -> None:
    """Put these functions in the place of the emulator's."""
    for field, default in _ADDED_FIELDS.items():
        provisioners._GLUE_JOB_DEFAULTS[field] = default
    glue._create_job = _create_job
    glue._update_job = _keep_added_fields(glue._update_job)
    glue._start_job_run = lambda data: start_job_run(processes, data)
    glue._batch_stop_job_run = batch_stop_job_run
    atexit.register(_kill_all)


def _create_job(data: dict) -> tuple:
    response = _emulator_create_job(data)
    job = glue._jobs.get(data.get("Name"))
    if job is not None:
        job.update({field: data.get(field, job.get(field, default)) for field, default in _ADDED_FIELDS.items()})
    return response


def _keep_added_fields(update_job):
    def update(data: dict) -> tuple:
        response = update_job(data)
        job = glue._jobs.get(data.get("JobName"))
        if job is not None:
            job.update({f: v for f, v in data.get("JobUpdate", {}).items() if f in _ADDED_FIELDS})
        return response

    return update


def start_job_run(processes: JobProcesses, data: dict) -> tuple:
    """StartJobRun: answers with the run's id at once, the run goes on in a thread of its own."""
    name = data.get("JobName")
    job = glue._jobs.get(name)
    if job is None:
        return error_response_json("EntityNotFoundException", f"Job {name} not found", 400)
    with _lock:
        limit = (job.get("ExecutionProperty") or {}).get("MaxConcurrentRuns") or 1
        active = [run for run in glue._job_runs.get(name, []) if run["JobRunState"] in ACTIVE]
        if len(active) >= limit:
            return error_response_json(
                "ConcurrentRunsExceededException", f"Concurrent runs exceeded for {name}: {len(active)} of {limit} running", 400
            )
        run = _new_run(job, data)
        # The emulator's store is scoped by account: assign, so that the scope of this request is used.
        glue._job_runs[name] = [run, *glue._job_runs.get(name, [])]
    arguments = glue._script_args(job, name, run["Id"], data.get("Arguments") or {})
    # A thread does not inherit the account and region of the request.
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_run, processes, job, run, arguments), daemon=True).start()
    return json_response({"JobRunId": run["Id"]})


def batch_stop_job_run(data: dict) -> tuple:
    """BatchStopJobRun: ends the process group of each run named."""
    name = data.get("JobName")
    runs = {run["Id"]: run for run in glue._job_runs.get(name, [])}
    stopped, errors = [], []
    for run_id in data.get("JobRunIds", []):
        run = runs.get(run_id)
        if run is None or run["JobRunState"] not in ACTIVE:
            code = "EntityNotFoundException" if run is None else "InvalidInputException"
            detail = {"ErrorCode": code, "ErrorMessage": f"Run {run_id} is not running"}
            errors.append({"JobName": name, "JobRunId": run_id, "ErrorDetail": detail})
            continue
        run["JobRunState"] = "STOPPING"
        if process := _processes.get(run_id):
            _kill(process)
        stopped.append({"JobName": name, "JobRunId": run_id})
    return json_response({"SuccessfulSubmissions": stopped, "Errors": errors})


def _new_run(job: dict, data: dict) -> dict:
    now = time.time()
    arguments = {**job.get("DefaultArguments", {}), **(data.get("Arguments") or {})}
    workers = job.get("NumberOfWorkers", 2)
    return {
        "Id": f"jr_{new_uuid().replace('-', '')}",
        "Attempt": 0,
        "JobName": job["Name"],
        "StartedOn": now,
        "LastModifiedOn": now,
        "JobRunState": "STARTING",
        "Arguments": dict(data.get("Arguments") or {}),
        "ErrorMessage": "",
        "PredecessorRuns": [],
        "AllocatedCapacity": workers,
        "ExecutionTime": 0,
        "Timeout": data.get("Timeout") or job.get("Timeout", 2880),
        "WorkerType": data.get("WorkerType") or job.get("WorkerType", "G.1X"),
        "NumberOfWorkers": data.get("NumberOfWorkers") or workers,
        "GlueVersion": job.get("GlueVersion", "5.0"),
        "ExecutionClass": data.get("ExecutionClass") or job.get("ExecutionClass", "STANDARD"),
        "LogGroupName": _log_groups(job, arguments),
    }


def _log_groups(job: dict, arguments: dict[str, str]) -> str:
    """What comes before /output and /error: with encrypted logs Glue adds the names of security configuration and role."""
    prefix = arguments.get("--custom-logGroup-prefix", "/aws-glue/jobs")
    configuration = job.get("SecurityConfiguration") or ""
    if not encrypts_logs(configuration):
        return prefix
    return f"{prefix}/{configuration}-role/{job['Role'].rsplit('/', 1)[-1]}"


def _run(processes: JobProcesses, job: dict, run: dict, arguments: dict[str, str]) -> None:
    state, message = "FAILED", ""
    try:
        state, message = _execute(processes, job, run, arguments)
    except BadDefinition as error:
        message = str(error)
    except Exception as error:  # The run must end with a state, whatever the adapter did wrong.
        logger.exception("run %s of %s", run["Id"], job["Name"])
        message = f"embedded AWS: {error}"
    now = time.time()
    run |= {
        "CompletedOn": now,
        "LastModifiedOn": now,
        "ExecutionTime": round(now - run["StartedOn"]),
        "ErrorMessage": message,
        "JobRunState": state,
    }


def _execute(processes: JobProcesses, job: dict, run: dict, arguments: dict[str, str]) -> tuple[str, str]:
    """Run the job's process to its end; the run's final state and error message."""
    status, timed_out = None, False
    try:
        launch = processes.prepare(run["Id"], job.get("Command", {}).get("ScriptLocation", ""), arguments)
        try:
            credentials = permissions.session(job.get("Role", ""), run["Id"])
        except PermissionError as error:
            raise BadDefinition(str(error)) from error
        process = processes.start(run["Id"], launch, credentials)
        _processes[run["Id"]] = process
        if run["JobRunState"] == "STOPPING":  # asked for before there was a process to end
            _kill(process)
        else:
            run["JobRunState"] = "RUNNING"
        try:
            status = process.wait(timeout=run["Timeout"] * 60)
            if status == 0:
                processes.wait_for_classes(run["Id"])
        except subprocess.TimeoutExpired:
            timed_out = True
            _kill(process)
            status = process.wait()
        finally:
            _processes.pop(run["Id"], None)
            _kill(process)  # whatever the script left behind, Spark's Java among it
    finally:
        processes.finish(run["Id"], succeeded=status == 0)
    _keep_logs(processes, run)
    if run["JobRunState"] == "STOPPING":
        return "STOPPED", ""
    if timed_out:
        return "TIMEOUT", f"Timeout of {run['Timeout']} minutes reached"
    if status == 0:
        return "SUCCEEDED", ""
    return "FAILED", _error_message(status, processes.work / run["Id"] / "stderr.log")


def _error_message(status: int, stderr: Path) -> str:
    """What the script said last on standard error, without Spark's log lines and stack traces; else how its process ended.

    Before all that, what this machine lacks for the run.
    """
    lines = stderr.read_text(errors="replace").splitlines()
    said = [line for line in lines[-400:] if line and not _LOG_LINE.match(line)]
    if said and status > 0 and said[-1].startswith(_NO_PYSPARK):
        said.append(f"{EXPLAINS}PySpark is not installed: run `make spark`")
    if lacks := [line for line in said if line.startswith(EXPLAINS)]:
        said = lacks
    ended = f"killed by signal {-status} ({signal.Signals(-status).name})" if status < 0 else f"exit status {status}"
    # A killed process says nothing about it: what it wrote before is no explanation.
    return said[-1][:1000] if said and status > 0 else f"The job's process ended with {ended}"


def _keep_logs(processes: JobProcesses, run: dict) -> None:
    """Put the run's output where Glue puts it: one CloudWatch Logs stream in each of two groups.

    Glue starts the script of a Spark job from Java, which takes all that it says, also on standard error, for its own output.
    """
    run_id = run["Id"]
    folder = processes.work / run_id
    logs = boto3.client("logs", endpoint_url=processes.endpoint, region_name="us-east-1")
    for stream, name in (("stdout", "output"), ("stderr", "error")):
        group = f"{run['LogGroupName']}/{name}"
        lines = (folder / f"{stream}.log").read_text(errors="replace").splitlines()
        if name == "output":
            lines += [
                line for line in (folder / "stderr.log").read_text(errors="replace").splitlines() if not _LOG_LINE.match(line)
            ]
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in lines if line][-5000:]
        try:
            with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
                logs.create_log_group(logGroupName=group)
            logs.create_log_stream(logGroupName=group, logStreamName=run_id)
            for first in range(0, len(events), 1000):
                logs.put_log_events(logGroupName=group, logStreamName=run_id, logEvents=events[first : first + 1000])
        except Exception as error:
            logger.warning("logs of run %s are only in %s: %s", run_id, folder, json.dumps(str(error)))


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _kill_all() -> None:
    for process in list(_processes.values()):
        _kill(process)
