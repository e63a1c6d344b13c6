"""Settings declared once: each key with its type, range, default and meaning.

Checks, error messages, the configuration's defaults and ``--help`` follow from the fields of
:class:`Settings` subclasses. Modules that declare them import no torch.
"""

import difflib
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from facegan.errors import InputError

Seed = Annotated[int, Field(ge=0, lt=2**32)]  # the range that every library accepts
Count = Annotated[int, Field(ge=1)]
# The command line reads a file or directory called "0" as a number.
PathName = Annotated[str, BeforeValidator(lambda v: str(v) if type(v) in (int, float) else v)]


def setting(
    default: Any, meaning: str, *, key: str = "", form: str = "", example: str = "", **range_: Any
) -> Any:
    """A field of :class:`Settings`.

    Args:
        default: plain YAML value.
        meaning: one line, for ``--help`` and for readers.
        key: as the user types it, if it is not ``prefix + name``.
        form: what a value must be, if its type does not say it ("DD:HH:MM:SS").
        example: of a list, as typed.
        **range_: pydantic's constraints: ``ge``, ``gt``, ``le``, ``lt``, ``pattern`` …
    """
    extra: dict[str, Any] = {"key": key, "form": form, "example": example}
    return Field(default, description=meaning, json_schema_extra=extra, **range_)


class Settings(BaseModel):
    """Checked, immutable settings; a wrong value raises InputError with one sentence.

    A subclass sets ``prefix``, which its keys start with on the command line ("model."), and
    declares its fields with :func:`setting`. Combinations of values are checked in a
    ``@model_validator(mode="after")`` that raises InputError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    prefix: ClassVar[str] = ""
    internal: ClassVar[Sequence[str]] = ()  # fields that conf/ sets, and users do not

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(self._sentence(error)) from None

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Settings from a node of the configuration, without its ``_target_``."""
        return cls(**{key: value for key, value in values.items() if key != "_target_"})

    @classmethod
    def pick(cls, values: Mapping[str, Any]) -> Self:
        """Settings from the fields that a larger mapping has, such as a whole configuration."""
        return cls(**{name: values[name] for name in cls.model_fields if name in values})

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Default values of all fields, as plain YAML values."""
        return cls.model_construct().model_dump(mode="json")

    @classmethod
    def key(cls, name: str) -> str:
        """The field ``name`` as the user types it."""
        field = cls.model_fields.get(name)
        return (_extra(field)["key"] if field else "") or f"{cls.prefix}{name}"

    @classmethod
    def table(cls) -> list[tuple[str, Any, str, str]]:
        """A row per field: key, default, what a value may be, and its meaning.

        Fields of nested settings have rows of their own. Keys of another section, which set fields
        here too (``seed``), and internal ones have none.
        """
        rows, defaults = [], cls.defaults()
        shown = {k: field for k, field in cls.model_fields.items() if k not in cls.internal}
        for name, field in shown.items():
            key, kind = cls.key(name), field.annotation
            if isinstance(kind, type) and issubclass(kind, Settings):
                rows += kind.table()
            elif key.startswith(cls.prefix.rstrip(".")):
                rows.append((key, defaults[name], _form(field), field.description or ""))
        return rows

    @classmethod
    def _sentence(cls, error: ValidationError) -> str:
        first = error.errors()[0]
        if isinstance(raised := first.get("ctx", {}).get("error"), InputError):
            return str(raised)
        name, *deeper = (str(part) for part in first["loc"] if isinstance(part, str))
        if first["type"] == "extra_forbidden" and not deeper:
            near = difflib.get_close_matches(name, cls.model_fields, n=1)
            hint = f"; did you mean {cls.key(near[0])}?" if near else "."
            return f"There is no setting {cls.key(name)}{hint}"
        field = cls.model_fields[name]
        nested = field.annotation
        if deeper and isinstance(nested, type) and issubclass(nested, Settings):
            return nested._sentence(error)  # its own prefix names the key
        return f"{cls.key(name)} must be {_form(field)}, not {_typed_input(first['input'])}."


def checked(key: str, value: Any, kind: Any, form: str = "") -> Any:
    """``value`` if it is of the (annotated) type ``kind``; else InputError that names ``key``."""
    try:
        return TypeAdapter(kind, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        wanted = form or _form(FieldInfo.from_annotation(kind))
        raise InputError(f"{key} must be {wanted}, not {_typed_input(value)}.") from None


def _extra(field: FieldInfo) -> dict[str, str]:
    return field.json_schema_extra or {"key": "", "form": "", "example": ""}  # type: ignore[return-value]


def _form(field: FieldInfo) -> str:
    """What a value must be, in words."""
    extra = _extra(field)
    if extra["form"]:
        return extra["form"]
    kinds = _alternatives(field.annotation)
    words = [_words(kind, field.metadata, extra["example"]) for kind in kinds if kind is not None]
    return " or ".join([*dict.fromkeys(words), *(["null"] if None in kinds else [])])


def _alternatives(annotation: Any) -> list[Any]:
    """The members of a union, in order; None for NoneType."""
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _alternatives(part)]
    return [None if annotation is type(None) else annotation]


def _words(kind: Any, metadata: Sequence[Any], example: str) -> str:
    if get_origin(kind) is Annotated:
        kind, *inner = get_args(kind)
        metadata = [*metadata, *(m for part in inner for m in getattr(part, "metadata", [part]))]
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(as_typed(option) for option in get_args(kind))
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        return ("a whole number" if kind is int else "a number") + _bounds(metadata)
    if kind is str:
        return "text"
    if isinstance(kind, type) and issubclass(kind, Mapping | BaseModel):
        return "settings like {key: value}"
    members = get_args(kind)
    if members and get_origin(members[0]) is Literal and not example:
        return "a list of " + ", ".join(as_typed(option) for option in get_args(members[0]))
    return f"a list like {example or '[1,2]'}"


def _bounds(metadata: Sequence[Any]) -> str:
    limits = {
        name: getattr(bound, name.lower())
        for bound in metadata
        if (name := type(bound).__name__) in ("Ge", "Gt", "Le", "Lt")
    }
    if {"Ge", "Le"} <= limits.keys():
        return f" between {limits['Ge']:g} and {limits['Le']:g}"
    words = {"Ge": "of at least", "Gt": "above", "Le": "of at most", "Lt": "below"}
    parts = [
        f"{word} {'2**32' if limits[name] == 2**32 else format(limits[name], 'g')}"
        for name, word in words.items()
        if name in limits
    ]
    return "".join(f" {part}" if i == 0 else f" and {part}" for i, part in enumerate(parts))


def as_typed(value: Any) -> str:
    """A value as it is typed on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(as_typed(item) for item in value)}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}: {as_typed(item)}" for key, item in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _typed_input(value: Any) -> str:
    return repr(value) if isinstance(value, str) else as_typed(value)
