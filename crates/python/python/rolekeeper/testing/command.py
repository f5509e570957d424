"""Decides which `rolekeeper` command the sandbox is started with."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

VARIABLE = "ROLEKEEPER_COMMAND"


def find() -> str:
    """The path of the command.

    It is what the variable ``ROLEKEEPER_COMMAND`` names, else what the wheel has put beside this
    interpreter, else what ``PATH`` has.

    Raises:
        FileNotFoundError: there is none.
    """
    told = os.environ.get(VARIABLE)
    if told:
        found = shutil.which(told)
        if found is None:
            raise FileNotFoundError(f"{VARIABLE} names {told!r}, which is not a program")
        return found
    # `sys.executable` is empty where Python is embedded.
    beside = Path(sys.executable).parent if sys.executable else None
    for folder in (beside, Path(sysconfig.get_path("scripts"))):
        found = shutil.which("rolekeeper", path=str(folder)) if folder else None
        if found is not None:
            return found
    found = shutil.which("rolekeeper")
    if found is None:
        raise FileNotFoundError(
            "the command `rolekeeper` is neither beside this Python nor on PATH; "
            f"install the rolekeeper wheel, or set {VARIABLE} to the command's path"
        )
    return found
