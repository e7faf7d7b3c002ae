"""The shape of a record set: its fields, its business key, and what each field means to the warehouse."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from warehouse.text import Text

FieldType = Literal["code", "text", "int", "float", "bool", "date", "time"]
Role = Literal["key", "place", "updated", "event", "due", "dimension", "detail"]

DUCK_TYPES: dict[FieldType, str] = {
    "code": "varchar",
    "text": "varchar",
    "int": "bigint",
    "float": "double",
    "bool": "boolean",
    "date": "date",
    "time": "timestamp",
}
"""Times are the site's local time, stored without zone."""


class Choice(BaseModel):
    """One value of an enumerated field: its code is stored, its label shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    label: Text
    synonyms: tuple[str, ...] = ()


class Field(BaseModel):
    """One field of a record.

    `role`: `key` the business key; `place` the code of the place it was filed under; `updated` the
    source's own update time (a later one wins); `event` a time at which something happened (unknown
    before it happened, so a past cut-off hides it); `due` a time planned or promised (known at once);
    `dimension` a class to break down by; `detail` the rest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: FieldType
    role: Role = "detail"
    label: Text
    choices: tuple[Choice, ...] = ()


class Dataset(BaseModel):
    """A record set: one row per business key.

    `born` names the event field at which a record comes into being (it sorts and dates the record).
    `protected`: matters of people, whose small counts are not shown.
    `mapped`: the fields this site's source really delivers (others are null in every row).
    `rules`: the labels of the contract's own rules, by the rule's name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: Text
    fields: tuple[Field, ...]
    born: str | None = None
    protected: bool = False
    mapped: tuple[str, ...] = ()
    rules: dict[str, Text] = {}

    @property
    def key(self) -> str:
        return next(f.name for f in self.fields if f.role == "key")

    @property
    def place(self) -> str | None:
        return next((f.name for f in self.fields if f.role == "place"), None)

    @property
    def updated(self) -> str | None:
        return next((f.name for f in self.fields if f.role == "updated"), None)

    def field(self, name: str) -> Field:
        return next(f for f in self.fields if f.name == name)

    def of_role(self, role: Role) -> tuple[str, ...]:
        return tuple(f.name for f in self.fields if f.role == role)
