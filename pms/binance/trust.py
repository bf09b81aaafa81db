"""Why no connection to the venue came about, in words. Certificates are always checked; this only explains."""

from __future__ import annotations

import ssl


def reason(error: Exception) -> str:
    """What a failed connect failed of, and for TLS what to look at."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message.rstrip(".")
        return f"its certificate was refused ({why}). Check the host in the settings and this host's CA certificates."
    if isinstance(error, ssl.SSLError):
        return f"it does not speak TLS as we do ({error.reason or error}). Check scheme, host and port in the settings."
    return str(error) or "timed out"
