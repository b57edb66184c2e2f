"""Memory of this process."""

import re
import resource
import sys
from pathlib import Path


def peak():
    """The largest resident memory of this process so far, in bytes.

    Linux hands a parent's peak on to its children in `ru_maxrss`, which would hide what the child itself
    takes, so that it is read from /proc there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
