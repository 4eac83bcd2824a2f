"""The command line `medssl`: one module a verb, one rule for output and exit codes.

A verb module offers `register(app)` and imports nothing heavy at its top (no torch, no napari):
`medssl --help` imports them all and is to answer at once.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from napari_medssl import __version__
from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.openmp import let_threads_sleep
from napari_medssl.cli import _console

# Each owner of a verb adds its module here; the order is that of `medssl --help`.
_VERBS = (
    "doctor",
    "models",
    "separate",
    "boxes",
    "regions",
    "harvest",
    "tiles",
    "embed",
    "cluster",
    "map",
    "index",
    "search",
    "mirror",
    "why",
    "measure",
    "import_features",
    "sample",
    "reconstruct",
    "simulate",
    "segment",
    "masks",
    "train",
    "evaluate",
    "locate",
    "improve",
    "slide",
)

# Typer offers no public name for the base of its usage errors.
_CommandLineError: type[Exception] = typer.BadParameter.__bases__[0].__bases__[0]

_INTERRUPTED = 130  # Typer turns Ctrl+C into this code by itself
_STOPPED = "Stopped. Run the same command again."

_Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress bar and no remarks.", rich_help_panel="Output"),
]
_Debug = Annotated[
    bool,
    typer.Option("--debug", help="Show the traceback of a fault.", rich_help_panel="Output"),
]


def _with_output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` with the options `--quiet` and `--debug` added to its signature."""
    signature = inspect.signature(function, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in (("quiet", _Quiet), ("debug", _Debug))
    ]

    @functools.wraps(function)
    def run(*args: Any, quiet: bool = False, debug: bool = False, **kwargs: Any) -> Any:
        # "or": the options may also stand before the verb.
        _console.SESSION.quiet = _console.SESSION.quiet or quiet
        _console.SESSION.debug = _console.SESSION.debug or debug
        return function(*args, **kwargs)

    parameters = [*signature.parameters.values(), *added]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


class App(typer.Typer):
    """A Typer whose every command takes `--quiet` and `--debug`."""

    def command(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        """Register a function as a command, as `typer.Typer.command` does."""
        register = super().command(*args, **kwargs)

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            register(_with_output_options(function))
            return function

        return decorate


def new_app(**settings: Any) -> App:
    """Return an empty app with our settings; verbs with sub-verbs make theirs with it."""
    return App(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


app = new_app(
    name="medssl",
    help="Self-supervised learning for medical images: the commands behind the napari widgets.",
    epilog="Exit codes: 0 all done, 1 some inputs failed or it was stopped, 2 wrong usage or "
    "nothing done. Example: medssl separate figures/ --out boxes.coco.json",
    add_completion=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        _console.say(f"medssl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    quiet: _Quiet = False,
    debug: _Debug = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    _console.SESSION.quiet = quiet
    _console.SESSION.debug = debug


def _usage_line(error: Exception) -> str:
    """Return the one line that tells a usage error, with the command whose help to read."""
    message: str = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "medssl"
    message = message.replace("Value error, ", "")  # pydantic's words, inside newer Typers
    return f"{message.rstrip('.')}. See `{command} --help`."


def _run(arguments: Sequence[str] | None) -> int:
    """Run the command line and return the exit code; no exception for bad input escapes."""
    try:
        command = typer.main.get_command(app)
        # Without standalone mode Typer hands its exits and errors to us.
        code = command.main(
            args=None if arguments is None else list(arguments),
            prog_name="medssl",
            standalone_mode=False,
        )
    except _CommandLineError as error:
        # Without arguments Typer has already shown the help, and the message is empty or the help.
        if type(error).__name__ != "NoArgsIsHelpError":
            _console.fail(_usage_line(error))
        return _console.NOTHING_DONE
    except UserError as error:
        _console.fail(str(error))
        return _console.NOTHING_DONE
    except (KeyboardInterrupt, typer.Abort, Cancelled) as error:
        _console.fail(str(error) or _STOPPED)
        return _console.STOPPED
    except SystemExit:  # rich leaves so when the reader of its help has gone
        return _console.ALL_DONE
    except OSError as error:
        if _console.SESSION.debug:
            traceback.print_exc()
        what = error.strerror or str(error)
        _console.fail(f"{what}: {error.filename!r}" if error.filename else what)
        return _console.NOTHING_DONE
    if code == _INTERRUPTED:
        _console.fail(_STOPPED)
        return _console.STOPPED
    return code if isinstance(code, int) else _console.ALL_DONE


def _open_missing_streams() -> None:
    """Give the process streams that go nowhere where it was started with closed ones (`>&-`)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (kept)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `medssl` and return its exit code.

    Parameters
    ----------
    arguments
        The words after `medssl`; by default those of the process.
    """
    _open_missing_streams()
    let_threads_sleep()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A file name need not be valid text; it is printed with escapes, never refused.
            stream.reconfigure(errors="backslashreplace")
    _console.SESSION.quiet = _console.SESSION.debug = False
    try:
        with _console.interrupt_on_terminate():
            code = _run(arguments)
        _console.flush_stdout()
        return code
    except OSError as error:  # of the last flush alone: `_run` tells all others
        _console.fail(f"Cannot write to standard output: {error.strerror or error}.")
        return _console.SOME_FAILED
    except Exception as error:
        if _console.SESSION.debug:
            traceback.print_exc()
        hint = "" if _console.SESSION.debug else " Run it again with --debug for the traceback."
        kind = type(error).__name__
        _console.fail(f"A fault of medssl, not of your input: {kind}: {error}.{hint}")
        return _console.NOTHING_DONE


for _name in _VERBS:
    import_module(f"napari_medssl.cli.{_name}").register(app)
