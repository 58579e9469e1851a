"""Hands a job in, follows it to its end, tells what became visible where, and reads it.

    python3 -m venv venv
    venv/bin/pip install -r requirements.txt
    venv/bin/python -m grpc_tools.protoc -I ../../../proto \
        --python_out . --grpc_python_out . ../../../proto/votum/v1/*.proto
    venv/bin/python run_job.py 127.0.0.1:7070
"""

import random
import sys
import time
import uuid

import grpc
from google.protobuf.duration_pb2 import Duration

from votum.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc, job_spec_pb2

# One call may take this long.
CALL_SECONDS = 10
# A coordinator that restarts is waited for this long.
PATIENCE_SECONDS = 60
# The job must have ended by then.
JOB_SECONDS = 300

FINAL = {job_pb2.JOB_STATE_COMMITTED, job_pb2.JOB_STATE_ABORTED}


def patiently(call, request):
    """Calls, and repeats while the coordinator is away, with growing, random pauses.

    Only UNAVAILABLE is worth another try. To repeat a submission is safe because it carries a
    request id; a read is safe anyway.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = 0.1
    while True:
        try:
            return call(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            away = error.code() == grpc.StatusCode.UNAVAILABLE
            if not away or time.monotonic() > deadline:
                raise
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, 2.0)


def two_tasks():
    """Makes a job of two tasks: one counts to ten, the other adds up what it wrote."""
    count = job_spec_pb2.TaskSpec(
        task_id="count",
        command=job_spec_pb2.Command(
            argv=["sh", "-euc", 'seq 1 10 > "$VOTUM_OUTPUT_NUMBERS"']
        ),
        outputs=[job_spec_pb2.OutputSpec(name="numbers", path="numbers.txt")],
        retry=job_spec_pb2.RetryPolicy(max_attempts=3),
    )
    add = 'awk \'{ sum += $1 } END { print sum }\' "$VOTUM_INPUT_NUMBERS" > "$VOTUM_OUTPUT_TOTAL"'
    total = job_spec_pb2.TaskSpec(
        task_id="sum",
        command=job_spec_pb2.Command(argv=["sh", "-euc", add]),
        # An input from a task makes this one wait for it.
        inputs=[
            job_spec_pb2.InputSpec(
                name="numbers",
                task_output=job_spec_pb2.TaskOutputRef(task_id="count", output="numbers"),
            )
        ],
        outputs=[
            job_spec_pb2.OutputSpec(
                name="total",
                path="total.txt",
                publish=job_spec_pb2.PublishTarget(
                    file=job_spec_pb2.FileTarget(path="python/total.txt")
                ),
            )
        ],
    )
    return job_spec_pb2.JobSpec(
        display_name="python-example",
        timeout=Duration(seconds=JOB_SECONDS),
        tasks=[count, total],
    )


def wait(jobs, name):
    """Polls until the job has ended."""
    deadline = time.monotonic() + JOB_SECONDS
    while time.monotonic() < deadline:
        request = job_service_pb2.GetJobRequest(name=name, view=job_service_pb2.JOB_VIEW_FULL)
        job = patiently(jobs.GetJob, request).job
        if job.state in FINAL:
            return job
        time.sleep(0.3)
    raise TimeoutError(f"{name} has not ended after {JOB_SECONDS} s")


def read(jobs, output):
    """Reads the first file of an output, through the coordinator."""

    def collected(request, timeout):
        # The call is over when the last piece has come: what breaks on the way is repeated.
        pages = jobs.ListOutputFiles(request, timeout=timeout)
        paths = [entry.path for page in pages for entry in page.entries]
        wanted = job_service_pb2.ReadOutputRequest(name=request.name, path=paths[0])
        return b"".join(piece.data for piece in jobs.ReadOutput(wanted, timeout=timeout))

    return patiently(collected, job_service_pb2.ListOutputFilesRequest(name=output.name))


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7070"
    with grpc.insecure_channel(address) as channel:
        jobs = job_service_pb2_grpc.JobServiceStub(channel)
        # Drawn once, before the first try: however often it is repeated, it is one job.
        request = job_service_pb2.SubmitJobRequest(spec=two_tasks(), request_id=str(uuid.uuid4()))
        name = patiently(jobs.SubmitJob, request).job.name
        job = wait(jobs, name)
        if job.state != job_pb2.JOB_STATE_COMMITTED:
            sys.exit(f"{name} has not committed: {job.state_message}")
        print(f"{name} committed")
        for task in job.tasks:
            for output in task.outputs:
                if output.publish_path:
                    where = f"{output.worker.removeprefix('workers/')}:{output.publish_path}"
                    print(f"{where}  {output.size_bytes} bytes  {output.digest}")
                    print(read(jobs, output).decode().rstrip())


if __name__ == "__main__":
    main()
