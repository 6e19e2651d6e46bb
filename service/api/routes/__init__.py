"""One file for each resource; `ROUTERS` are all of them."""

from service.api.routes import (
    admin,
    align,
    health,
    jobs,
    metrics,
    models,
    page,
    realtime,
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
        realtime,
        jobs,
        usage,
        admin,
        page,
    )
)
PATHS = tuple(str(getattr(route, "path", "")) for router in ROUTERS for route in router.routes)
"""The paths of all routes."""
UPLOAD_PATHS = (transcriptions.PATH, transcribe.PATH, align.PATH, vad.PATH)
"""Where recordings are sent to, which are held in memory."""
LIVE_PATH = realtime.PATH
"""Where sound is sent to while it is said."""
JOB_PATH = jobs.PATH
"""Where recordings of jobs are sent to, which are held on the disk."""
