"""Compiled code between runs: keyed by all sources, and never a reason to fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import nmfaudio
from nmfaudio.nmf import compiled_code

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="the compiler is switched off")

PACKAGE = Path(nmfaudio.__file__).parent
# Prints a logarithm, and how many functions were compiled for it.
SCRIPT = """
import numpy as np
from nmfaudio.nmf import compilation_progress, logarithm_kernels
compiled = []
compilation_progress.when_compiling(lambda number, total: compiled.append(number))
print(round(float(logarithm_kernels.logarithm(np.float32(2))), 4), len(set(compiled)))
"""


@pytest.fixture
def installation(tmp_path):
    """Return a copy of the package, beside empty folders for a home and for temporary files."""
    copy = tmp_path / "installed" / "nmfaudio"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("home", "temporary"):
        (tmp_path / name).mkdir()
    return tmp_path


def run(installation, **environment):
    """Run the script with that copy; return its output and what it said on stderr."""
    home = str(installation / "home")
    known = {
        "HOME": home,
        "USERPROFILE": home,
        "LOCALAPPDATA": home,
        "TMPDIR": str(installation / "temporary"),
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "NUMBA_"))}
    paths = {"PYTHONPATH": str(installation / "installed"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(
        command, env=kept | known | paths | environment, cwd=installation, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def forbid(folder):
    """Let a file stand where a folder is wanted, which stops even an administrator from writing there."""
    folder.write_text("")


def forbid_all_but_the_temporary(installation):
    forbid(installation / "installed" / "nmfaudio" / "nmf" / "__pycache__")
    (installation / "home").rmdir()
    forbid(installation / "home")


def test_code_is_kept_beside_its_sources(installation):
    assert run(installation) == (["0.6931", "1"], "")
    assert run(installation) == (["0.6931", "0"], "")
    (kept,) = (installation / "installed/nmfaudio/nmf/__pycache__").glob("engine-*")
    assert list(kept.glob("*.nbc"))


def test_the_users_choice_of_a_folder_comes_first(installation):
    run(installation, NUMBA_CACHE_DIR=str(installation / "chosen"))
    assert list((installation / "chosen").glob("engine-*/*.nbc"))


def test_code_is_kept_in_the_home_where_the_installation_cannot_be_written(installation):
    forbid(installation / "installed" / "nmfaudio" / "nmf" / "__pycache__")
    assert run(installation) == (["0.6931", "1"], "")
    assert run(installation) == (["0.6931", "0"], "")
    assert list((installation / "home").rglob("nmfaudio/engine-*/*.nbc"))


def test_code_is_kept_among_temporary_files_where_there_is_no_home_either(installation):
    forbid_all_but_the_temporary(installation)
    assert run(installation) == (["0.6931", "1"], "")
    assert run(installation) == (["0.6931", "0"], "")
    (private,) = (installation / "temporary").glob("nmfaudio*")
    if hasattr(os, "getuid"):
        assert private.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="temporary files belong to one user here")
def test_code_that_others_may_have_written_is_not_run_and_the_cost_is_said_once(installation):
    forbid_all_but_the_temporary(installation)
    opened = installation / "temporary" / f"nmfaudio-{os.getuid()}"
    opened.mkdir()
    opened.chmod(0o777)
    for _ in range(2):
        answer, said = run(installation)
        assert answer == ["0.6931", "1"]
        assert said.count("RuntimeWarning") == 1
        assert "no folder can be written" in said
        assert "set NUMBA_CACHE_DIR to a folder" in said
    assert not list(opened.iterdir())


@pytest.fixture
def kept_here(tmp_path, monkeypatch):
    """Keep the code of this process in a folder of the test."""
    monkeypatch.setattr(compiled_code, "folder", lambda: tmp_path)
    compiled_code._say_once.cache_clear()
    return tmp_path


def kept(function):
    dispatcher = numba.njit(function)
    compiled_code.keep(dispatcher)
    return dispatcher


def increment(x):
    return x + 1


@pytest.mark.parametrize("damage", ["emptied", "halved", "garbled", "index emptied", "code lost", "all lost"])
def test_damaged_code_is_made_anew(kept_here, damage):
    assert kept(increment)(1) == 2
    for file in kept_here.iterdir():
        content, is_index = file.read_bytes(), file.suffix == ".nbi"
        if damage == "all lost" or (damage == "code lost" and not is_index):
            file.unlink()
        elif damage in ("emptied", "halved", "garbled") or (damage == "index emptied" and is_index):
            replacement = {"halved": content[: len(content) // 2], "garbled": b"x" * len(content)}
            file.write_bytes(replacement.get(damage, b""))
    again = kept(increment)
    assert again(1) == 2
    assert not again.stats.cache_hits
    later = kept(increment)
    assert later(1) == 2
    assert later.stats.cache_hits


def test_a_full_disk_is_said_once_and_is_no_error(kept_here, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "_save_data", full)
    with pytest.warns(RuntimeWarning, match="No space left on device.*compiles its engine again"):
        assert kept(lambda x: x + 1)(1) == 2
    assert kept(lambda x: x + 2)(1) == 3  # a second warning would be an error


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Let copies of the kernels' sources stand for them."""
    for source in compiled_code.kernel_sources():
        shutil.copy(source, tmp_path)
    monkeypatch.setattr(compiled_code, "_HERE", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", [source.name for source in compiled_code.kernel_sources()])
def test_a_change_of_any_source_changes_the_folder(sources, name):
    before = compiled_code.folder_name()
    with (sources / name).open("a") as file:
        file.write("# changed\n")
    assert compiled_code.folder_name() != before


@pytest.mark.parametrize("module", ["numba", "llvmlite"])
def test_another_compiler_has_another_folder(monkeypatch, module):
    before = compiled_code.folder_name()
    monkeypatch.setattr(getattr(compiled_code, module), "__version__", "0.0.1")
    assert compiled_code.folder_name() != before


def test_folders_of_older_sources_are_removed_and_others_stay(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled_code, "_parents", lambda: [tmp_path / "kept"])
    find = compiled_code.folder.__wrapped__
    first, other = find(), tmp_path / "kept" / "engine-of-another-installation"
    other.mkdir()
    (first / "code").write_text("")
    (sources / "kernels.py").write_text("")
    second = find()
    assert second != first
    assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == sorted([second.name, other.name])
    assert find() == second


def test_every_compiled_function_of_the_engine_is_kept_and_its_file_is_among_the_sources():
    files = {source.name for source in compiled_code.kernel_sources()}
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text("utf-8")
        if path.name not in ("compilation.py", "compiled_code.py"):
            assert "cache=True" not in text, f"{path}: use compilation.compiled"
        if "@compiled" in text or "@_compiled" in text or "njit" in text:
            assert path.name in files, f"{path}: name it ...kernels.py"
