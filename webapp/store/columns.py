"""Column types that keep what Python means: times with their zone, JSON with its shape, enums by value."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import JSON, DateTime, Dialect, Enum
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, timezone-aware on both sides; SQLite, which has no zones, holds it as naive UTC.

    Raises:
        ValueError: On a naive datetime, which could mean any moment.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC on the way in."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no timezone; the store holds aware times only")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware UTC time on the way out."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Shaped(TypeDecorator[Any]):
    """A JSON column whose value is validated and rebuilt as `shape`, any type that pydantic knows."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def __init__(self, shape: Any) -> None:
        super().__init__()
        self.shape = shape  # SQLAlchemy tells one such type from another by its arguments
        self.adapter: TypeAdapter[Any] = TypeAdapter(shape)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Validate, then dump to plain JSON values."""
        return None if value is None else self.adapter.dump_python(self.adapter.validate_python(value), mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Rebuild the shape."""
        return None if value is None else self.adapter.validate_python(value)


def named(enum: type[StrEnum]) -> Enum:
    """Return the column type of an enum: its values as plain text, so that a new value needs no schema change."""
    return Enum(
        enum, native_enum=False, length=16, values_callable=lambda members: [member.value for member in members]
    )
