"""Rasa without TensorFlow.

Rasa 3.6 imports TensorFlow for DIET and TED at start-up even when config.yml names neither: 300 MB and three seconds for
nothing. `install()` puts an empty stand-in under its name, good enough to define those classes and no more: any real use raises.
`benchmarks/engine.py` measures the difference; stock Rasa there runs with the real TensorFlow.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types

_ABSENT = ("tensorflow", "tensorflow_addons", "tensorflow_hub", "tensorflow_text", "keras")


class _Attributes(type):
    def __getattr__(cls, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent


class Absent(metaclass=_Attributes):
    """Stands for everything in TensorFlow: can be a base class, an annotation or a decorator, and nothing else."""

    def __new__(cls, *arguments, **_options):
        if cls is Absent and (not arguments or callable(arguments[0])):
            return arguments[0] if arguments else Absent
        raise RuntimeError("TensorFlow is not loaded in this process: config.yml may not name a component that needs it")

    def __class_getitem__(cls, _key):
        return cls


class _AbsentModule(types.ModuleType):
    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent


class _Loader(importlib.abc.Loader):
    def create_module(self, spec):
        module = _AbsentModule(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module) -> None:
        pass


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in _ABSENT:
            return importlib.machinery.ModuleSpec(name, _Loader(), is_package=True)
        return None


def install() -> None:
    """Keep TensorFlow out of this process. Must run before anything of Rasa is imported."""
    if "tensorflow" in sys.modules:
        raise RuntimeError("TensorFlow is already loaded")
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    _let_spacy_see_that_it_is_absent()
    sys.meta_path.insert(0, _Finder())


def _let_spacy_see_that_it_is_absent() -> None:
    """spaCy asks TensorFlow for devices if it can be imported, which the stand-in can; so it looks before that."""
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("thinc.compat")
    finally:
        del sys.modules["tensorflow"]
