"""Set-up of .venv by the scripts, in a temporary checkout with a stand-in for uv and without a network."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
ENTRIES = ["separate.py", "test.py", "docs.py"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for uv is a shell script")

# It records its calls and whether a stamp file exists. Its "Python" prints the folder and the arguments.
UV = """#!/bin/sh
[ -e .venv/nmfaudio-setup.json ] && state=stamped || state=unstamped
echo "$state $*" >> "$CALLS"
case "$1" in
venv) mkdir -p .venv/bin && cp "$STAND_IN_PYTHON" .venv/bin/python ;;
pip) [ -z "${UV_FAILS-}" ] || { seq 101 130; exit 9; }
     [ -z "${UV_SLEEPS-}" ] || exec sleep "$UV_SLEEPS" ;;
esac
"""
PYTHON = """#!/bin/sh
pwd
for argument; do echo "<$argument>"; done
[ -z "${PYTHON_SLEEPS-}" ] || exec sleep "$PYTHON_SLEEPS"
case "$*" in *"${FAILING-separate}"*) exit 7 ;; esac
"""


class Checkout:
    """A copy of the scripts in a folder of its own, with methods that run them."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.elsewhere = folder / "elsewhere"
        self.calls_file = folder / "calls"
        self.elsewhere.mkdir()
        shutil.copytree(SCRIPTS, self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        (self.root / "pyproject.toml").write_text(
            '[project]\nname = "nmfaudio"\ndependencies = ["numpy>=2", "scipy", "numba", "rich"]\n'
        )
        tools = folder / "tools"
        tools.mkdir()
        for name, content in {"uv": UV, "python": PYTHON}.items():
            (tools / name).write_text(content)
            (tools / name).chmod(0o755)
        self.environment = {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "CALLS": str(self.calls_file),
            "STAND_IN_PYTHON": str(tools / "python"),
        }

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    @property
    def stamp(self) -> Path:
        return self.root / ".venv" / "nmfaudio-setup.json"

    def start(self, script: str, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(self.root / "scripts" / script), *arguments],
            cwd=self.elsewhere,
            env={**self.environment, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def run(self, script: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        with self.start(script, *arguments, **settings) as process:
            out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def environment() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("environment", SCRIPTS / "environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["environment"] = module  # dataclasses look up their module here
    spec.loader.exec_module(module)
    yield module
    del sys.modules["environment"]


def wait_for(condition: str, process: subprocess.Popen[str], checkout: Checkout) -> None:
    """Wait until a call is recorded; fail if the process ends before."""
    deadline = time.monotonic() + 30
    while not any(condition in call for call in checkout.calls):
        assert process.poll() is None, f"ended before {condition!r}"
        assert time.monotonic() < deadline, f"no {condition!r} in 30 s"
        time.sleep(0.02)


@posix
def test_arguments_folder_and_exit_code_pass_through(checkout: Checkout) -> None:
    completed = checkout.run("separate.py", "my song.flac", "-o", "../stems", "--json")
    arguments = ["-P", "-m", "nmfaudio", "separate", "my song.flac", "-o", "../stems", "--json"]
    assert completed.stdout.splitlines() == [str(checkout.elsewhere), *(f"<{a}>" for a in arguments)]
    assert completed.returncode == 7


@posix
def test_extras_in_front_are_installed_and_not_passed_on(checkout: Checkout) -> None:
    completed = checkout.run("separate.py", "--extras", "formats,live", "song.m4a", "-q")
    assert checkout.calls[-1].endswith("-e .[formats,live]")
    assert completed.stdout.splitlines()[-3:] == ["<separate>", "<song.m4a>", "<-q>"]
    assert "--extras needs names" in checkout.run("separate.py", "--extras").stderr


@posix
def test_uv_on_the_path_is_used_and_the_stamp_is_written_last(checkout: Checkout) -> None:
    completed = checkout.run("separate.py")
    python = checkout.root / ".venv" / "bin" / "python"
    create, install = checkout.calls
    assert create.startswith("unstamped venv --clear --python ")
    assert install == (f"unstamped pip install --python {python} -c scripts/constraints.txt -e .")
    assert checkout.stamp.exists()
    assert "setting up .venv: " in completed.stderr


@posix
def test_second_run_installs_nothing_and_prints_nothing(checkout: Checkout) -> None:
    checkout.run("separate.py")
    completed = checkout.run("separate.py")
    assert len(checkout.calls) == 2
    assert completed.stderr == ""


@posix
@pytest.mark.parametrize("name", ["scripts/constraints.txt", "pyproject.toml"])
def test_changed_requirements_install_again_in_place(checkout: Checkout, name: str) -> None:
    checkout.run("separate.py")
    with (checkout.root / name).open("a") as file:
        file.write("\n# changed\n")
    checkout.run("separate.py")
    assert [call.split()[1] for call in checkout.calls] == ["venv", "pip", "pip"]
    assert checkout.calls[-1].startswith("unstamped ")


@posix
def test_moved_checkout_installs_again(checkout: Checkout) -> None:
    checkout.run("separate.py")
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    checkout.run("separate.py")
    assert [call.split()[1] for call in checkout.calls] == ["venv", "pip", "pip"]


@posix
def test_failed_install_shows_the_end_of_its_output_and_runs_again(checkout: Checkout) -> None:
    failed = checkout.run("separate.py", UV_FAILS="yes")
    assert failed.returncode == 1
    assert "failed with exit code 9" in failed.stderr
    assert "    116\n" in failed.stderr
    assert "    130\n" in failed.stderr
    assert "    115\n" not in failed.stderr
    assert "run the same command again" in failed.stderr
    assert failed.stdout == ""
    assert not checkout.stamp.exists()
    checkout.run("separate.py")
    assert [call.split()[1] for call in checkout.calls][-1] == "pip"


@posix
def test_failed_install_over_an_older_one_leaves_no_stamp(checkout: Checkout) -> None:
    checkout.run("separate.py")
    assert checkout.run("test.py", UV_FAILS="yes").returncode == 1
    assert not checkout.stamp.exists()


@posix
def test_an_environment_with_a_damaged_stamp_is_created_again(checkout: Checkout) -> None:
    checkout.run("separate.py")
    checkout.stamp.write_text('{"half": ')
    checkout.run("separate.py")
    assert [call.split()[1] for call in checkout.calls] == ["venv", "pip", "venv", "pip"]
    assert "--clear" in checkout.calls[2]
    assert json.loads(checkout.stamp.read_text())["extras"] == []


@posix
def test_interrupted_set_up_exits_130_and_writes_no_stamp(checkout: Checkout) -> None:
    with checkout.start("separate.py", UV_SLEEPS="60") as process:
        wait_for("pip install", process, checkout)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert not checkout.stamp.exists()


@posix
def test_interrupt_reaches_the_command(checkout: Checkout) -> None:
    with checkout.start("separate.py", PYTHON_SLEEPS="60") as process:
        assert process.stdout is not None
        process.stdout.readline()  # the stand-in Python's first line
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode in {-signal.SIGINT, 130}  # a shell shows both as 130


@posix
def test_simultaneous_first_runs_install_once(checkout: Checkout) -> None:
    with (
        checkout.start("separate.py", UV_SLEEPS="1") as first,
        checkout.start("separate.py", UV_SLEEPS="1") as second,
    ):
        messages = [process.communicate(timeout=60)[1] for process in (first, second)]
    assert [first.returncode, second.returncode] == [7, 7], messages
    assert [call.split()[1] for call in checkout.calls] == ["venv", "pip"]


@posix
def test_test_script_runs_every_check_in_the_root(checkout: Checkout) -> None:
    (checkout.elsewhere / "test_mine.py").touch()
    completed = checkout.run("test.py", "-x", "test_mine.py::test_one", FAILING="ruff format")
    lines = completed.stdout.splitlines()
    modules = [lines[i + 1] for i, line in enumerate(lines) if line == "<-m>"]
    assert modules == ["<ruff>", "<ruff>", "<mypy>", "<pytest>"]
    assert lines.count(str(checkout.root)) == 4
    assert lines[-2:] == ["", "== lint: ok, format: FAILED, types: ok, tests: ok"]
    assert f"<{checkout.elsewhere / 'test_mine.py'}::test_one>" in lines
    assert "<-x>" in lines
    assert completed.returncode == 7
    assert checkout.calls[-1].endswith(" -e .[dev]")


@posix
def test_docs_script_builds_the_site_and_fresh_removes_what_was_made(checkout: Checkout) -> None:
    old_page = checkout.root / "build" / "site" / "old.html"
    old_page.parent.mkdir(parents=True)
    old_page.touch()
    checkout.run("docs.py")
    assert old_page.exists()
    completed = checkout.run("docs.py", "--fresh", "-j", "2")
    assert not old_page.exists()
    arguments = completed.stdout.splitlines()
    assert {"<sphinx>", "<--fail-on-warning>", "<-j>", "<docs>", "<build/site>"} <= set(arguments)
    assert "<--fresh>" not in arguments
    assert completed.returncode == 0
    assert checkout.calls[-1].endswith(" -e .[docs]")
    assert checkout.run("docs.py", FAILING="sphinx").returncode == 7


@posix
def test_separate_keeps_what_the_tests_installed(checkout: Checkout) -> None:
    checkout.run("test.py")
    checkout.run("separate.py")
    assert len(checkout.calls) == 2
    with (checkout.root / "scripts" / "constraints.txt").open("a") as file:
        file.write("newcomer==1.0\n")
    checkout.run("separate.py")
    assert checkout.calls[-1].endswith(" -e .[dev]")
    assert json.loads(checkout.stamp.read_text())["extras"] == ["dev"]


@posix
def test_tests_add_to_what_separate_installed(checkout: Checkout) -> None:
    checkout.run("separate.py")
    checkout.run("test.py")
    assert [call.split()[1] for call in checkout.calls] == ["venv", "pip", "pip"]
    assert checkout.calls[-1].endswith(" -e .[dev]")


def test_without_uv_venv_and_pip_are_used(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    create, install = (command for _, command in environment.steps(Path("p"), {"dev"}, create=True))
    assert create[1:] == ["-m", "venv", "--clear", ".venv"]
    assert " ".join(install) == (
        "p -m pip install --disable-pip-version-check --no-input -c scripts/constraints.txt -e .[dev]"
    )


def test_python_without_ensurepip_names_the_package(
    checkout: Checkout, environment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(checkout.elsewhere))
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(environment.SetupError, match=r"lacks venv and ensurepip.*apt install .*-venv"):
        environment.prepare(checkout.root, ())
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize("script", ENTRIES)
def test_an_old_python_prints_which_version_is_needed(script: str) -> None:
    source = (SCRIPTS / script).read_text("utf-8")
    ast.parse(source, feature_version=(3, 6))
    old_version = "import sys; sys.version_info = (3, 8, 0); exec(compile(sys.argv[1], 'x', 'exec'))"
    completed = subprocess.run([sys.executable, "-c", old_version, source], capture_output=True, text=True)
    assert completed.returncode == 1
    assert "needs Python 3.11 or newer, and this is 3.8" in completed.stderr
    assert "Traceback" not in completed.stderr


def test_constraints_are_plain_pins() -> None:
    lines = (SCRIPTS / "constraints.txt").read_text("utf-8").splitlines()
    names = [line.partition("==")[0] for line in lines]
    assert all(line.count("==") == 1 and "/" not in line for line in lines)
    assert names == sorted(set(names))
    assert {"numpy", "scipy", "numba", "soundfile", "librosa", "pytest"} <= set(names)
