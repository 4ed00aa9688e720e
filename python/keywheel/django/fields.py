"""Fields of Django that are sealed with a ring, in the place of ``pgp_sym_encrypt``.

The database sees sealed bytes and never a key::

    from keywheel.django.fields import EncryptedTextField

    class Person(models.Model):
        iban = EncryptedTextField(ring="pii", null=True)

What is saved is sealed here, with the ring's primary, and what is read is opened here, with every
version that is accepted. With a ring of the algorithm ``passphrase`` the column is a ``bytea`` of
OpenPGP messages: it reads what ``pgp_sym_encrypt`` wrote, and ``pgp_sym_decrypt`` reads what it
wrote. With ``armored=True`` it is a ``text`` that holds ``armor(pgp_sym_encrypt(…))``, or Fernet
tokens. A migration names the ring and holds nothing of its keys.

Such a column cannot be searched, compared or sorted on the server, where two values of one text
differ. ``isnull`` is the only lookup; every other one raises Django's ``FieldError``. An expression
in ``update()`` is computed by the server and so is not sealed: read, change and save instead.
``dumpdata`` writes what is in the field, and not what is in the column.

Saving raises :class:`keywheel.ProtectError` while nothing may be protected; reading raises
:class:`keywheel.UnknownKeyError` where no accepted version opens a value, and
:class:`keywheel.exceptions.SealedValueError` where it is none.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms  # type: ignore[import-untyped]
from django.core.checks import CheckMessage, Error  # type: ignore[import-untyped]
from django.core.exceptions import FieldError  # type: ignore[import-untyped]
from django.db import models  # type: ignore[import-untyped]
from django.db.models.lookups import Exact  # type: ignore[import-untyped]

from keywheel._keywheel import Ring
from keywheel._rings import RingOrName, ring_of

__all__ = ["EncryptedBinaryField", "EncryptedTextField"]


class _OnlyNull(Exact):  # type: ignore[misc]
    """``field=None``, which Django turns into ``isnull``; anything else is refused."""

    def get_prep_lookup(self) -> None:
        if self.rhs is not None:
            raise _refusal(self.lhs.output_field, "value")


def _refusal(field: Any, lookup: str) -> FieldError:
    return FieldError(
        f"{field.name} is encrypted, so the server cannot look it up by {lookup}; read the rows "
        "and compare here, or keep a keyed hash (keywheel.hmac) in a field beside it"
    )


class _Encrypted(models.BinaryField):  # type: ignore[misc]
    """What both fields do; the database's column is that of a ``BinaryField``."""

    def __init__(self, *args: Any, ring: RingOrName, armored: bool = False, **options: Any) -> None:
        #: The ring that seals and opens, or its name.
        self.ring = ring
        #: Whether the column is text: OpenPGP messages in armor, or Fernet tokens.
        self.armored = armored
        super().__init__(*args, **options)

    @property
    def _ring(self) -> Ring:
        return ring_of(self.ring)

    # A checker infers the one literal that Django's own returns, which a `str` would not match.
    def get_internal_type(self) -> Any:
        """The field whose column this is."""
        return "TextField" if self.armored else "BinaryField"

    def deconstruct(self) -> Any:
        """What a migration writes: the name of the ring, and nothing else of it."""
        name, path, args, options = self._deconstructed()
        armored = {"armored": True} if self.armored else {}
        return name, path, args, {**options, **armored, "ring": self._ring.name}

    def _deconstructed(self) -> Any:
        return super().deconstruct()

    def check(self, **options: Any) -> list[CheckMessage]:
        """What an encrypted column cannot be."""
        wrong = [name for name in ("primary_key", "unique", "db_index") if getattr(self, name)]
        if getattr(self, "db_default", models.NOT_PROVIDED) is not models.NOT_PROVIDED:
            wrong.append("db_default")
        return [
            *super().check(**options),
            *(
                Error(
                    f"An encrypted field cannot have {name}: the server sees sealed bytes, and two "
                    "values of one text differ.",
                    hint="Keep a keyed hash (keywheel.hmac) in a field beside it for that.",
                    obj=self,
                    id="keywheel.E005",
                )
                for name in wrong
            ),
        ]

    def get_lookup(self, lookup_name: str) -> Any:
        """``isnull``, ``None``, and no other lookup."""
        if lookup_name == "exact":
            return _OnlyNull
        if lookup_name == "isnull":
            return super().get_lookup(lookup_name)
        raise _refusal(self, lookup_name)

    def get_transform(self, lookup_name: str) -> None:
        """None: the server computes nothing with sealed bytes."""

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """What the database is given."""
        is_value = value is not None and not hasattr(value, "as_sql")
        if self.armored:
            value = self._ring.seal_armored(self._checked(value)) if is_value else value
            # As of any field; that of bytes would take it for bytes.
            return super(models.BinaryField, self).get_db_prep_value(value, connection, prepared)
        if is_value:
            value = self._ring.seal(self._checked(value))
        return super().get_db_prep_value(value, connection, prepared)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """What the application is given."""
        return None if value is None else self._opened(value)

    def _checked(self, value: Any) -> Any:
        raise NotImplementedError

    def _opened(self, value: Any) -> Any:
        raise NotImplementedError


class EncryptedTextField(_Encrypted):
    """A text that is sealed with a ring of the kind ``encryption``; ``bytea`` in PostgreSQL."""

    description = "Encrypted text"
    empty_values: ClassVar[list[Any]] = list(models.TextField.empty_values)

    def __init__(self, *args: Any, ring: RingOrName, armored: bool = False, **options: Any) -> None:
        options.setdefault("editable", True)
        super().__init__(*args, ring=ring, armored=armored, **options)

    def _deconstructed(self) -> Any:
        # As of any field that is editable by default.
        return super(models.BinaryField, self).deconstruct()

    def _check_str_default_value(self) -> list[CheckMessage]:
        return []

    def get_default(self) -> Any:
        """The default, as of any field of text."""
        return super(models.BinaryField, self).get_default()

    def to_python(self, value: Any) -> Any:
        """The text of whatever a form or a fixture has."""
        return value if value is None or isinstance(value, str) else str(value)

    def value_to_string(self, obj: Any) -> Any:
        """What a fixture holds: the text."""
        return self.value_from_object(obj)

    def formfield(
        self, form_class: Any = None, choices_form_class: Any = None, **options: Any
    ) -> Any:
        """A text area."""
        defaults: dict[str, Any] = {"max_length": self.max_length}
        if not self.choices:
            defaults["widget"] = forms.Textarea
        return super().formfield(
            form_class or forms.CharField, choices_form_class, **{**defaults, **options}
        )

    def _checked(self, value: Any) -> str:
        return value if isinstance(value, str) else str(value)

    def _opened(self, value: Any) -> str:
        return self._ring.unseal_text(value)


class EncryptedBinaryField(_Encrypted):
    """Bytes that are sealed with a ring of the kind ``encryption``; ``bytea`` in PostgreSQL."""

    description = "Encrypted bytes"

    def _checked(self, value: Any) -> Any:
        if isinstance(value, str):
            raise TypeError("EncryptedBinaryField takes bytes, not str")
        return value

    def _opened(self, value: Any) -> bytes:
        return self._ring.unseal(value)
