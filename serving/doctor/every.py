"""All checks, by their names."""

from serving.doctor import access, clock, configured, jobs, machine, models, places, registry, s3, traces
from serving.doctor.side_by_side import Check

CHECKS: dict[str, Check] = {
    "settings": configured.settings,
    "trust": configured.trust,
    "access": access.access,
    "tls": access.tls,
    "machine": machine.machine,
    "ports": places.ports,
    "store": places.store,
    "registry": registry.registry,
    "models": models.models,
    "s3": s3.s3,
    "jobs": jobs.jobs,
    "clock": clock.clock,
    "traces": traces.traces,
}
