"""From scores to samples: what the workflow's scripts share."""

import sys
from importlib import import_module
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path
from typing import Any


class _SourceLoader(SourceFileLoader):
    """Compiles the source as it is now: stored bytecode goes by the source's size and time alone."""

    def get_code(self, fullname):
        """The code object of the module `fullname`."""
        return self.source_to_code(self.get_data(self.path), self.path)


for _folder in (Path(__file__).parent, *(path.parent for path in Path(__file__).parent.glob("*/__init__.py"))):
    sys.path_importer_cache[str(_folder)] = FileFinder(str(_folder), (_SourceLoader, SOURCE_SUFFIXES))

_FACE = {
    "CSDIImputer": "imputer",
    "Imputed": "imputing",
    "Pooled": "pooling",
    "completed": "series.completing",
    "impute": "imputing",
    "pool": "pooling",
}


def __getattr__(name: str) -> Any:
    """What is called from outside, imported once it is asked for: it takes seconds, and most is no part of any job."""
    if name not in _FACE:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_FACE[name]}"), name)
