"""Settings of the exporter: the cluster that it watches, and where its messages go.

Belongs here: what ``opengenome metrics`` reads from the environment. Does not belong here: host and port, which are
options of the command.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from opengenome_assets.settings import Section, SettingsError

TOPICS = ("problems", "failures", "successes")


class MonitoringSettings(Section):
    """What the exporter watches beside Dagster, and whom it tells."""

    spark_page: str = Field(
        default="",
        validation_alias="OPENGENOME_SPARK_PAGE",
        description="address of the Spark master's page, whose workers the exporter counts; none without a cluster",
    )
    spark_workers: int = Field(
        default=2,
        ge=1,
        validation_alias="OPENGENOME_SPARK_WORKERS",
        description="number of Spark workers below which the exporter reports a problem",
    )
    messages: str = Field(
        default="problems,failures",
        validation_alias="OPENGENOME_MESSAGES",
        description="what messages are sent about, separated by commas: `problems` of the status page, `failures` of "
        "runs, `successes` of runs",
    )
    messages_per_hour: int = Field(
        default=30, ge=1, validation_alias="OPENGENOME_MESSAGES_PER_HOUR", description="maximum messages in an hour"
    )
    smtp_server: str = Field(
        default="", validation_alias="OPENGENOME_SMTP_SERVER", description="mail server, as `host:port`; none, no mail"
    )
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        validation_alias="OPENGENOME_SMTP_SECURITY",
        description="how the connection is encrypted: `starttls`, `tls` from its beginning, or `none`",
    )
    smtp_user: str = Field(
        default="", validation_alias="OPENGENOME_SMTP_USER", description="user at the mail server; none, no login"
    )
    smtp_password_path: str = Field(
        default="", validation_alias="OPENGENOME_SMTP_PASSWORD_PATH", description="a file with that user's password"
    )
    mail_from: str = Field(
        default="opengenome@localhost", validation_alias="OPENGENOME_MAIL_FROM", description="address of the sender"
    )
    mail_to: str = Field(
        default="", validation_alias="OPENGENOME_MAIL_TO", description="addresses of mails, separated by commas"
    )
    webhook_url: str = Field(
        default="",
        repr=False,
        validation_alias="OPENGENOME_WEBHOOK_URL",
        description="address that gets each message as a POST request; none, no request",
    )
    webhook_form: Literal["json", "slack", "teams"] = Field(
        default="json", validation_alias="OPENGENOME_WEBHOOK_FORM", description="form: `json`, `slack` or `teams`"
    )
    webhook_secret_path: str = Field(
        default="",
        validation_alias="OPENGENOME_WEBHOOK_SECRET_PATH",
        description="a file with the secret that signs requests, in the header `X-OpenGenome-Signature`",
    )
    smtp_password: str = Field(default="", repr=False)
    webhook_secret: str = Field(default="", repr=False)

    @property
    def topics(self) -> frozenset[str]:
        """The words of ``messages``."""
        return frozenset(word for each in self.messages.split(",") if (word := each.strip()))

    @field_validator("messages")
    @classmethod
    def _known(cls, messages: str) -> str:
        for word in messages.split(","):
            if word.strip() not in ("", *TOPICS):
                raise SettingsError(
                    f"OPENGENOME_MESSAGES has {word.strip()!r}: expected {', '.join(TOPICS)}, separated by commas"
                )
        return messages

    @field_validator("smtp_server")
    @classmethod
    def _host_and_port(cls, server: str) -> str:
        if server and not re.fullmatch(r"\S+:\d{1,5}", server):
            raise SettingsError(f"OPENGENOME_SMTP_SERVER is {server!r}: expected host:port, as mail.example.org:587")
        return server

    @field_validator("webhook_url")
    @classmethod
    def _address(cls, url: str) -> str:
        if url and not re.match(r"https?://", url):
            raise SettingsError("OPENGENOME_WEBHOOK_URL: expected an address that begins with https:// or http://")
        return url

    @model_validator(mode="before")
    @classmethod
    def _read_secrets(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Read the files of secrets that are named; no message repeats a secret."""
        read = dict(given)
        for secret, path in (("smtp_password", "smtp_password_path"), ("webhook_secret", "webhook_secret_path")):
            variable = f"OPENGENOME_{path.upper()}"
            place = given.get(variable) or given.get(path)
            if place:
                try:
                    read[secret] = Path(place).read_text().strip()
                except (OSError, UnicodeDecodeError) as error:
                    raise SettingsError(f"{variable} names {place}, which cannot be read: {error}") from error
        return read
