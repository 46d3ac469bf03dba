"""A name and where its password stands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from kallglot_media.config.types import ConfigPath, Settings, bad
from kallglot_media.sip.passwords import Password, read_password
from kallglot_media.sip.settings import Credentials


class Account(Settings):
    """A name and where its password stands. A password is never written into a configuration file."""

    user: Annotated[str, Field(min_length=1, examples=["pbx"])]
    """The digest user name."""

    password_env: Annotated[str | None, Field(min_length=1, examples=["KALLGLOT_PBX_PASSWORD"])] = None
    """The environment variable that holds the password."""

    password_file: Annotated[ConfigPath | None, Field(validate_default=True)] = None
    """A file that holds the password, or what `kallglot-media users hash` makes of it, and nothing else."""

    @field_validator("password_file")
    @classmethod
    def _one_place(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if "password_env" in info.data and (info.data["password_env"] is None) == (file is None):
            raise bad("does not go with password_env" if file else "is missing, and password_env too",
                      "write either password_env or password_file")  # fmt: skip
        return file

    def password(self) -> Password:
        """The password now, or its hash.

        Raises KeyError or OSError when its place is empty, ValueError for a broken hash: `load_config` has tried it.
        """
        if self.password_env is not None:
            return read_password(os.environ[self.password_env])
        assert self.password_file is not None
        return read_password(self.password_file.read_text(encoding="utf-8").rstrip("\r\n"))

    def credentials(self) -> Credentials:
        """Name and password, for the SIP agent. Raises as password() does."""
        return Credentials(self.user, self.password())
