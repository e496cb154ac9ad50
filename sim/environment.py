"""What programs that this package starts get of the user's environment.

cocotb, Python, make, Verilator, Icarus Verilog and Yosys all take orders from variables, some of
any name: make takes every variable for one of its own. A user who works with these programs has
such variables set for other designs. They would break a run here, or change what is built and then
kept in the cache. So programs get what a machine needs to run programs at all, and nothing else.
"""

import os

__all__ = ["environment"]

_NAMES = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LANGUAGE", "VIRTUAL_ENV",
        # Where Python lies, and whether and where it keeps compiled modules.
        "PYTHONHOME", "PYTHONPATH", "PYTHONPLATLIBDIR",
        "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX",
        # Where the C++ compiler finds headers, libraries and its own parts.
        "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH",
        "COMPILER_PATH", "GCC_EXEC_PREFIX", "SDKROOT", "DEVELOPER_DIR", "MACOSX_DEPLOYMENT_TARGET",
    }
)  # fmt: skip
# Locale, the dynamic linker, compilers that are wrapped, and folders for caches.
_PREFIXES = ("LC_", "LD_", "DYLD_", "NIX_", "GUIX_", "CONDA_", "CCACHE_", "XDG_", "YOWASP_")


def environment(**own: str) -> dict[str, str]:
    """Return the environment for a program: what it needs of this process's, and its own.

    Parameters
    ----------
    **own : str
        Variables that the program is given by this package.

    Returns
    -------
    dict of str to str
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _NAMES or name.startswith(_PREFIXES)
    }
    return {"PATH": os.defpath, **kept, **own}
