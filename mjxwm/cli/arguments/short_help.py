"""`--help` of a command with many fields: those that people change first; `--help-all` has all."""

import ast
import dataclasses
import functools
import inspect
import textwrap
from collections.abc import Iterator
from typing import Annotated, Any, get_type_hints

import tyro


def show(options: Any, names: tuple[str, ...], prog: str, description: str = "") -> None:
    """Prints the help of a few fields and ends the process with status 0, as tyro does.

    Args:
        options: the dataclass of all fields with their defaults; fields that are dataclasses
            themselves are looked into, and their fields have no prefix.
        names: the fields to show, in their order; what there is not is passed over.
        prog: the command.
        description: what it does.
    """
    every = {name: (hint, value, text) for name, hint, value, text in _fields(options)}
    shown = [name for name in names if name in every]
    fields = []
    for name in shown:
        hint, value, text = every[name]
        note = Annotated[hint, tyro.conf.arg(help=text)]
        fields.append((name, note, dataclasses.field(default_factory=lambda value=value: value)))
    few = dataclasses.make_dataclass("Few", fields, frozen=True)
    more = f"{len(every) - len(shown)} more fields: `mjxwm {prog} --help-all`."
    about = f"{description} {more}".strip()
    tyro.cli(few, args=["--help"], prog=f"mjxwm {prog}", description=about)


def _fields(options: Any) -> Iterator[tuple[str, Any, Any, str]]:
    """Name, type, default and docstring of each field, of inner dataclasses too."""
    cls = options if isinstance(options, type) else type(options)
    hints = get_type_hints(cls, include_extras=True)
    texts = docstrings(cls)
    for field in dataclasses.fields(cls):
        value = field.default if options is cls else getattr(options, field.name)
        if value is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        if dataclasses.is_dataclass(value):
            yield from _fields(value)
        elif value is not dataclasses.MISSING:
            yield field.name, hints[field.name], value, texts.get(field.name, "")


@functools.cache
def docstrings(cls: type) -> dict[str, str]:
    """The docstrings of a dataclass's fields, of its bases too, read from the source."""
    texts = docstrings(cls.__base__) if dataclasses.is_dataclass(cls.__base__) else {}
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    for line, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(line, ast.AnnAssign)
            and isinstance(line.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            texts = texts | {line.target.id: inspect.cleandoc(str(after.value.value))}
    return texts
