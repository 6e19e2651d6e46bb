"""One file for each resource; `ROUTERS` are all of them."""

from service.api.routes import (
    admin,
    align,
    health,
    jobs,
    metrics,
    models,
    page,
    transcribe,
    transcriptions,
    usage,
    vad,
)

ROUTERS = tuple(
    module.router
    for module in (
        health,
        metrics,
        models,
        transcriptions,
        transcribe,
        align,
        vad,
        jobs,
        usage,
        admin,
        page,
    )
)
UPLOAD_PATHS = (transcriptions.PATH, transcribe.PATH, align.PATH, vad.PATH)
"""Where recordings are sent to, which are held in memory."""
JOB_PATH = jobs.PATH
"""Where recordings of jobs are sent to, which are held on the disk."""
