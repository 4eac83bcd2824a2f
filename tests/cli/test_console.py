"""The command line's promises: exit codes, one whole line per error, options from a config."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import typer
from rich.progress import Progress as Bar

from napari_medssl import cli
from napari_medssl._errors import UserError
from napari_medssl.backend.config import option
from napari_medssl.backend.jobs import Cancelled, Progress
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config


@dataclass(frozen=True)
class Config:
    """The settings of a verb under test."""

    score: float | None = option(None, help="Least score [of a box].", min=0, max=1)
    batch_size: int = option(4, help="Images at a time.", min=1, unit="images")
    kind: Literal["photo", "plot"] = option("photo", help="Kind.", advanced=True)
    flip: bool = option(True, help="Flip.")
    size: tuple[int, ...] = option((1, 2), help="Sizes.")


@pytest.fixture
def verb(monkeypatch):
    """Put one verb, `try`, in place of all; its body is the function given."""
    app = cli.new_app()
    app.callback()(cli._root)
    monkeypatch.setattr(cli, "app", app)

    def put(body, **settings):
        app.command("try", **settings)(body)

    return put


def test_no_failure_is_0_some_are_1_all_are_2():
    assert [_console.exit_code(*n) for n in [(3, 0), (2, 1), (0, 3), (0, 0)]] == [0, 1, 2, 2]


def test_failures_are_listed_whole_one_a_line(verb, capsys):
    name = "/data/" + "long name " * 30 + ".png"
    verb(lambda: _console.finish(1, [(name, "is no image"), ("a\nb.png", "is\nempty")]))
    assert cli.main(["try"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"error: {name}: is no image", r"error: a\nb.png: is empty"]


def raise_(error):
    raise error


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("Folder 'x' is empty."), 2, "error: Folder 'x' is empty."),
        (FileNotFoundError(2, "No such file", "x.png"), 2, "error: .*No such file.*x.png.*"),
        (KeyboardInterrupt(), 1, "error: Stopped. Run the same command again."),
        (Cancelled(), 1, "error: Stopped. Run the same command again."),
        (Cancelled("Stopped after 1 of 2."), 1, "error: Stopped after 1 of 2."),
        (ZeroDivisionError("by zero"), 2, "error: A fault of medssl.*by zero.*--debug.*"),
        (MemoryError(), 2, "error: A fault of medssl.*MemoryError.*"),
    ],
)
def test_every_exception_is_one_line_and_a_code(verb, capsys, error, code, line):
    verb(lambda: raise_(error))
    assert cli.main(["try"]) == code
    assert re.fullmatch(line + "\n", capsys.readouterr().err)


@pytest.mark.parametrize("words", [["try", "--debug"], ["--debug", "try"]])
def test_debug_shows_the_traceback_of_a_fault(verb, capsys, words):
    verb(lambda: raise_(ZeroDivisionError("by zero")))
    assert cli.main(words) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tryy"], "No such command 'tryy'"),
        (["try", "--scor", "1"], "No such option: --scor"),
        (["try", "--score", "2"], "'2' is out of range: due is 0 to 1"),
        (["try", "--score", "x"], "'x' is not a number"),
        (["try", "--kind", "chart"], "chart"),
        (["try", "extra"], "Got unexpected extra argument"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(verb, capsys, words, said):
    @with_config(Config)
    def body(*, config):
        pass

    verb(body)
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert "--help`" in err


def test_a_config_becomes_options(verb):
    seen = []

    @with_config(Config)
    def body(inputs: list[Path], *, config: Config):
        seen.append((inputs, config))

    verb(body)
    words = "try a b --score 0.5 --batch-size 2 --kind plot --no-flip --size 7 --size 8"
    assert cli.main(["try", "a"]) == 0
    assert cli.main(words.split()) == 0
    assert seen == [
        ([Path("a")], Config()),
        ([Path("a"), Path("b")], Config(0.5, 2, "plot", False, (7, 8))),
    ]


def test_help_shows_each_field_with_unit_and_default(verb, capsys):
    @with_config(Config, skip=["size"])
    def body(*, config):
        pass

    verb(body, epilog="Example: medssl try")
    assert cli.main(["try", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for text in ("--score", "[of a box]", "Images at a time (images)", "default: 4", "Example"):
        assert text in shown
    assert "--size" not in shown


def test_no_bar_is_drawn_when_stderr_is_no_terminal(capsys):
    with _console.progress_bar("separating") as on_progress:
        on_progress(Progress(1, 2))
    assert capsys.readouterr().err == ""


def test_the_time_left_is_what_the_work_says_if_it_knows():
    column, bar = _console._left_column(), Bar()
    for left_s, text in ((61.4, "0:01:01"), (None, "-:--:--")):
        bar.add_task("training", total=10, left_s=left_s)
        assert column.render(bar.tasks[-1]).plain == text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interrupt_asks_and_the_second_stops(number):
    with _console.stop_on_interrupt() as should_stop:
        assert not should_stop()
        os.kill(os.getpid(), number)
        assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_a_number_comes_with_its_noun_in_the_right_form():
    words = [_console.counted(n, noun) for n in (0, 1, 2) for noun in ("panel", "box")]
    assert words == ["0 panels", "0 boxes", "1 panel", "1 box", "2 panels", "2 boxes"]


def medssl(*words, **changes):
    code = "import sys; from napari_medssl.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, **changes
    )


def test_without_a_verb_the_help_is_shown_and_the_exit_code_is_2():
    done = medssl()
    assert done.returncode == 2
    assert "Usage: medssl" in done.stdout + done.stderr
    assert "error" not in done.stderr


def test_a_closed_pipe_gives_no_traceback():
    code = "import sys; from napari_medssl.cli import main; sys.exit(main())"
    command = f"{sys.executable} -c '{code}' --help | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_every_verb_has_an_example_in_its_help():
    root = typer.main.get_command(cli.app)
    assert not [n for n, verb in walk(root) if "medssl" not in (verb.epilog or "")]


def walk(group, path="medssl"):
    for name, command in group.commands.items():
        here = f"{path} {name}"
        if hasattr(command, "commands"):
            yield from walk(command, here)
        else:
            yield here, command


def test_help_answers_without_torch_napari_or_qt():
    code = (
        "import sys; from napari_medssl.cli import main; main(['--help'])\n"
        "heavy = {'torch', 'napari', 'qtpy', 'PyQt6', 'umap', 'zarr'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
