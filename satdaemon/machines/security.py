"""TLS between scheduler, workers and clients, by the certificates that the configuration names."""

from __future__ import annotations

from distributed import Security

from satdaemon.config import Settings


def dask_security(settings: Settings) -> Security | None:
    """What scheduler, workers and clients are given: every side shows a certificate of the private authority, or is refused.

    None where no certificates are configured.
    """
    parameters = settings.parameters
    if parameters.dask_ca is None:
        return None
    files = {"ca_file": str(parameters.dask_ca)}
    for role in ("scheduler", "worker", "client"):
        files |= {f"{role}_cert": str(parameters.dask_cert), f"{role}_key": str(parameters.dask_key)}
    return Security(require_encryption=True, **{f"tls_{name}": path for name, path in files.items()})
