"""The layout of the package: which room may import from which, and where each library is used."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import nmfaudio

PACKAGE = Path(nmfaudio.__file__).parent
# From the ground up. A module imports only from its own room and from rooms on lower floors.
FLOORS = (
    ("errors", "matching", "suggestion"),
    ("disk", "nmf"),
    ("sound",),
    ("dictionaries", "models"),
    ("separators",),
    ("pipeline",),
    ("plots", "report", "studies", "testing", "live"),
    ("cluster",),
    ("cli",),
    ("__main__",),
    ("__init__",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# A notebook asks an object for its picture: these methods may import from the plots above.
PICTURE_METHOD = "_repr_html_"
ONLY_IN = {
    "numba": ("nmf",),
    "soundfile": ("sound",),
    "matplotlib": ("plots",),
    "av": ("sound",),
    "sklearn": ("nmf",),
    "rich": ("cli",),
    "typer": ("cli",),
    "dask": ("cluster",),
    "distributed": ("cluster",),
    "fsspec": ("cluster",),
}


def module_name(path):
    """Return the dotted name of a module inside the package; a package's own name for its `__init__`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


def imports(source, modules):
    """Yield every imported name; inside the package the longest one that is a module."""
    tree = ast.parse(source)
    pictures = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == PICTURE_METHOD]
    excepted = {id(node) for method in pictures for node in ast.walk(method)}
    for node in ast.walk(tree):
        if id(node) in excepted:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from {name if name.removeprefix("nmfaudio.") in modules else node.module for name in names}


def inner_imports(source, modules):
    return {
        name.removeprefix("nmfaudio.") for name in imports(source, modules) if name.startswith("nmfaudio.")
    }


def faults(modules):
    """Return every import that breaks the order of the floors."""
    found = []
    for name, source in modules.items():
        room = name.partition(".")[0]
        for target in sorted(inner_imports(source, modules)):
            other = target.partition(".")[0]
            if other != room and FLOOR_OF[other] >= FLOOR_OF[room]:
                found.append(f"{name} imports {target}")
    return found


def test_every_room_has_a_floor():
    rooms = {name.partition(".")[0] for name in MODULES}
    assert rooms == set(FLOOR_OF), "give each room of the package one place in FLOORS"


def test_imports_go_down():
    assert faults(MODULES) == []


def test_an_import_that_goes_up_is_found():
    upward = {**MODULES, "sound.stft": "from nmfaudio.pipeline.fitting import fit"}
    assert faults(upward) == ["sound.stft imports pipeline.fitting"]
    beside = {**MODULES, "nmf.solve": "import nmfaudio.disk.signals"}
    assert faults(beside) == ["nmf.solve imports disk.signals"]


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: inner_imports(source, MODULES) & set(MODULES) - {name} for name, source in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


@pytest.mark.parametrize("library", ONLY_IN)
def test_libraries_are_used_in_their_rooms_only(library):
    users = {
        name
        for name, source in MODULES.items()
        for i in imports(source, MODULES)
        if i.partition(".")[0] == library
    }
    assert users, f"{library} is used nowhere: take it out of the list"
    assert {name.partition(".")[0] for name in users} <= set(ONLY_IN[library])


def test_public_names_are_sorted_documented_and_there():
    assert nmfaudio.__all__ == sorted(nmfaudio.__all__)
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text("utf-8"))
    (listed,) = [ast.literal_eval(n.value) for n in stub.body if isinstance(n, ast.Assign)]
    assert listed == sorted(listed), "sort __all__ in __init__.pyi"
    for name in nmfaudio.__all__:
        assert ">>>" in (getattr(nmfaudio, name).__doc__ or ""), f"{name} lacks a docstring with an example"


def test_libraries_do_not_print():
    for name, source in MODULES.items():
        if not name.startswith("cli"):
            calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)]
            assert not any(isinstance(c.func, ast.Name) and c.func.id in ("print", "exit") for c in calls), (
                name
            )
