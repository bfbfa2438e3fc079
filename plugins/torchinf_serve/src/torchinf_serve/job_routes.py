"""Watching, cancelling and retrying downloads over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from torchinf_core.errors import UsageError
from torchinf_serve import schemas
from torchinf_serve.security.gate import AUDIT
from torchinf_serve.state import ServerState

_SSE = {"cache-control": "no-store", "x-accel-buffering": "no"}

JobId = Annotated[str, Path(min_length=1, max_length=64, description="of the job")]


class JobRoutes:
    """Downloads under way, and those that ended."""

    def __init__(self, state: ServerState) -> None:
        self._jobs = state.jobs

    def add_to(self, routes: APIRouter) -> None:
        """Register the routes."""
        add = routes.add_api_route
        add("/models/jobs", self.list, response_model=schemas.JobList, summary="List the jobs")
        add("/models/jobs/{job_id}", self.get, response_model=schemas.Job, summary="Show a job")
        add(
            "/models/jobs/{job_id}",
            self.cancel,
            methods=["DELETE"],
            response_model=schemas.Job,
            summary="Cancel a job; what arrived is kept",
        )
        add(
            "/models/jobs/{job_id}/retry",
            self.retry,
            methods=["POST"],
            status_code=202,
            response_model=schemas.Job,
            summary="Run a job again that failed or was cancelled",
        )
        add(
            "/models/jobs/{job_id}/events",
            self.events,
            response_class=StreamingResponse,
            summary="Watch a job: server-sent events",
            responses={
                200: {"content": {"text/event-stream": {}}, "description": "Events."},
                204: {"description": "The job has ended, and you have seen all of it."},
            },
        )

    async def list(self) -> dict[str, Any]:
        """All jobs that are remembered, the newest first."""
        jobs = [job.shown() for job in self._jobs.list()]
        return {"jobs": jobs, "total": len(jobs)}

    async def get(self, job_id: JobId) -> dict[str, Any]:
        """One job."""
        return self._jobs.get(job_id).shown()

    async def cancel(self, request: Request, job_id: JobId) -> dict[str, Any]:
        """Stop a job that waits or runs."""
        request.scope[AUDIT]["job"] = job_id[:64]
        return (await self._jobs.cancel(job_id)).shown()

    async def retry(self, request: Request, response: Response, job_id: JobId) -> dict[str, Any]:
        """Put a job that failed or was cancelled into the queue again."""
        request.scope[AUDIT]["job"] = job_id[:64]
        job = await self._jobs.retry(job_id)
        response.headers["location"] = f"/models/jobs/{job.id}"
        return job.shown()

    async def events(
        self,
        request: Request,
        job_id: JobId,
        after: Annotated[
            int | None, Query(ge=0, le=10**9, description="as the header Last-Event-ID")
        ] = None,
    ) -> Response:
        """The events of a job, from the one behind ``Last-Event-ID`` on, until it has ended."""
        last = request.headers.get("last-event-id")
        if last is not None:
            if not (last.isascii() and last.isdecimal() and len(last) < 10):
                raise UsageError("Last-Event-ID is no number of an event")
            after = int(last)
        job = self._jobs.get(job_id)
        if job.has_ended and after is not None and after >= await self._jobs.last_event(job_id):
            return Response(status_code=204)
        stream: AsyncIterator[bytes] = await self._jobs.follow(job_id, after or 0)
        return StreamingResponse(stream, media_type="text/event-stream", headers=_SSE)
