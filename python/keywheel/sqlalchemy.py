"""Columns of SQLAlchemy that are sealed with a ring, in the place of ``pgp_sym_encrypt``.

The database sees sealed bytes and never a key::

    from keywheel.sqlalchemy import EncryptedText

    class Person(Base):
        __tablename__ = "people"
        id: Mapped[int] = mapped_column(primary_key=True)
        iban: Mapped[str | None] = mapped_column(EncryptedText("pii"))

What is written is sealed here, with the ring's primary, and what is read is opened here, with every
version that is accepted; ``func.pgp_sym_encrypt`` and ``func.pgp_sym_decrypt`` go from the queries.
With a ring of the algorithm ``passphrase`` the column is a ``bytea`` of OpenPGP messages: it reads
what ``pgp_sym_encrypt`` wrote, and ``pgp_sym_decrypt`` reads what it wrote. Where it is ``text``,
and holds ``armor(pgp_sym_encrypt(…))`` or Fernet tokens, it is ``EncryptedText("pii",
armored=True)``. Whoever reads many rows reads the column as it is and opens it at once, with
:meth:`keywheel.Ring.unseal_text_many`.

Such a column cannot be searched, compared or sorted on the server, where two values of one text
differ, and a unique constraint on it refuses nothing. All that can be asked is whether it is
``NULL``; anything else raises SQLAlchemy's ``InvalidRequestError`` when the query is made.

Writing raises :class:`keywheel.ProtectError` while nothing may be protected; reading raises
:class:`keywheel.UnknownKeyError` where no accepted version opens a value, and
:class:`keywheel.exceptions.SealedValueError` where it is none. SQLAlchemy passes on what is raised
for a row that is read, and wraps what is raised for one that is written in its ``StatementError``.
That quotes what was to be written, so give ``create_engine`` the option ``hide_parameters=True``.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

from sqlalchemy import LargeBinary, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.sql import operators
from sqlalchemy.types import TypeDecorator, TypeEngine

from keywheel._keywheel import Ring
from keywheel._rings import RingOrName, ring_of

__all__ = ["EncryptedBytes", "EncryptedText"]

T = TypeVar("T", str, bytes)


class _OnlyNull(TypeDecorator.Comparator[Any]):
    """Refuses whatever the server would do with sealed bytes."""

    def operate(self, op: operators.OperatorType, *other: Any, **options: Any) -> Any:
        is_asked = op in (operators.eq, operators.ne, operators.is_, operators.is_not)
        if is_asked and len(other) == 1 and _is_null(other[0]):
            return super().operate(op, *other, **options)
        raise InvalidRequestError(
            "an encrypted column cannot be searched, compared or sorted on the server; read the "
            "rows and compare here, or keep a keyed hash (keywheel.hmac) in a column beside it"
        )

    def reverse_operate(self, op: operators.OperatorType, other: Any, **options: Any) -> Any:
        return self.operate(op, other, **options)


def _is_null(value: Any) -> bool:
    return value is None or getattr(value, "__visit_name__", None) == "null"


class _Encrypted(TypeDecorator[T], Generic[T]):
    impl = LargeBinary
    comparator_factory: Any = _OnlyNull  # pyright: ignore[reportAssignmentType]

    def __init__(self, ring: RingOrName, *, armored: bool = False) -> None:
        super().__init__()
        #: The ring that seals and opens, or its name.
        self.ring = ring
        #: Whether the column is text: OpenPGP messages in armor, or Fernet tokens.
        self.armored = armored

    @property
    def _ring(self) -> Ring:
        return ring_of(self.ring)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column of the database: ``TEXT`` where values are in armor."""
        # Adapted by hand, a `Text` would become the `VARCHAR` of psycopg's dialect.
        return Text() if self.armored else dialect.type_descriptor(LargeBinary())

    def process_bind_param(self, value: T | None, dialect: Dialect) -> bytes | str | None:
        """What the database is given."""
        if value is None:
            return None
        seal = self._ring.seal_armored if self.armored else self._ring.seal
        return seal(self._checked(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> T | None:
        """What the application is given."""
        return None if value is None else self._opened(value)

    def literal_processor(self, dialect: Dialect) -> Any:
        """Nothing: a literal would stand in the statement, and in the server's log."""
        raise InvalidRequestError("an encrypted value is bound and never written as a literal")

    def __repr__(self) -> str:
        # Alembic writes this into a migration.
        armored = ", armored=True" if self.armored else ""
        return f"{type(self).__name__}({self._ring.name!r}{armored})"

    def _checked(self, value: T) -> T:
        raise NotImplementedError

    def _opened(self, value: Any) -> T:
        raise NotImplementedError


class EncryptedText(_Encrypted[str]):
    """A text that is sealed with a ring of the kind ``encryption``; ``bytea`` in PostgreSQL."""

    # SQLAlchemy asks this of each class by itself.
    cache_ok = True

    @property
    def python_type(self) -> type[Any]:
        """What the application reads and writes."""
        return str

    def _checked(self, value: str) -> str:
        if not isinstance(value, str):
            raise TypeError(f"EncryptedText takes str, not {type(value).__name__}")
        return value

    def _opened(self, value: Any) -> str:
        return self._ring.unseal_text(value)


class EncryptedBytes(_Encrypted[bytes]):
    """Bytes that are sealed with a ring of the kind ``encryption``; ``bytea`` in PostgreSQL."""

    # SQLAlchemy asks this of each class by itself.
    cache_ok = True

    @property
    def python_type(self) -> type[Any]:
        """What the application reads and writes."""
        return bytes

    def _checked(self, value: bytes) -> bytes:
        if isinstance(cast("Any", value), str):
            raise TypeError("EncryptedBytes takes bytes, not str")
        return value

    def _opened(self, value: Any) -> bytes:
        return self._ring.unseal(value)
