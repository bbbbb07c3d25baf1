"""Messages: by mail, and by a signed webhook in the form of Slack, of Teams, or as plain JSON.

A message that cannot be sent for a passing reason is tried again, with exponential backoff. The number per hour is
limited; the next message then says how many were left out.

Belongs here: the form of messages, and sending them. Does not belong here: what is worth one (``problems.py``,
``exporter.py``).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import queue
import smtplib
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Literal, Protocol

import tenacity
from prometheus_client.core import CounterMetricFamily, Metric
from pydantic import BaseModel

from opengenome_assets import words
from opengenome_assets.monitoring.problems import Problem
from opengenome_assets.monitoring.settings import MonitoringSettings

LOG = logging.getLogger("opengenome.messages")
TIMEOUT_SECONDS = 20.0
SIGNATURE = "X-OpenGenome-Signature"
MAX_LETTERS = 3000  # of a text: Slack refuses a block that is longer


@dataclass(frozen=True)
class Message:
    """A message: one line, its details, and where more is found; ``over`` if it tells the end of a problem."""

    subject: str
    text: str = ""
    link: str = ""
    over: bool = False


class UndeliverableError(Exception):
    """The other side refuses the message. A retry does not help."""


class Channel(Protocol):
    """A way to send messages."""

    @property
    def name(self) -> str:
        """Its name, in logs and metrics."""

    def send(self, message: Message) -> None:
        """Send a message.

        Raises
        ------
        OSError
            For a passing reason. A retry can help.
        UndeliverableError
            For a lasting reason.
        """


@dataclass(frozen=True)
class Mail:
    """Mail through an SMTP server."""

    settings: MonitoringSettings
    name: str = "mail"

    def send(self, message: Message) -> None:
        """Send a message as plain text."""
        given = self.settings
        letter = EmailMessage()
        letter["Subject"] = f"[OpenGenome] {'over: ' if message.over else ''}{message.subject}"
        letter["From"], letter["To"] = given.mail_from, given.mail_to
        letter["Date"], letter["Message-ID"] = formatdate(), make_msgid(domain="opengenome")
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content("\n\n".join(filter(None, (message.subject, message.text, message.link))) + "\n")
        host, _, port = given.smtp_server.rpartition(":")
        try:
            with self._connected(host, int(port)) as server:
                if given.smtp_user:
                    server.login(given.smtp_user, given.smtp_password)
                server.send_message(letter)
        except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
            codes = (
                [code for code, _ in error.recipients.values()]
                if isinstance(error, smtplib.SMTPRecipientsRefused)
                else [error.smtp_code]
            )
            if min(codes) >= 500:  # a permanent failure; 4xx is a transient one
                raise UndeliverableError(f"{given.smtp_server} refuses it: {error}") from error
            raise

    def _connected(self, host: str, port: int) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.settings.smtp_security == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
        try:
            if self.settings.smtp_security == "starttls":
                server.starttls(context=context)
        except BaseException:
            server.close()
            raise
        return server


@dataclass(frozen=True)
class Webhook:
    """A request to an address, signed with a shared secret (HMAC-SHA256 of moment and body)."""

    settings: MonitoringSettings
    clock: Callable[[], float] = time.time
    name: str = "webhook"

    def send(self, message: Message) -> None:
        """Send a message in the form that is set."""
        given = self.settings
        body = json.dumps(FORMS[given.webhook_form](message)).encode()
        headers = {"Content-Type": "application/json"}
        if given.webhook_secret:
            headers[SIGNATURE] = signature(given.webhook_secret, int(self.clock()), body)
        request = urllib.request.Request(given.webhook_url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                answer.read()
        except urllib.error.HTTPError as error:  # the address may hold a secret, so no message repeats it
            words_of_it = f"the webhook answers {error.code} {error.reason}"
            if error.code in (408, 429) or error.code >= 500:
                raise OSError(words_of_it) from None
            raise UndeliverableError(words_of_it) from None


def signature(secret: str, moment: int, body: bytes) -> str:
    """Return the header's value: ``t=MOMENT,sha256=DIGEST``, the digest of moment, a full stop and the body."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},sha256={digest}"


def _slack(message: Message) -> dict[str, Any]:
    def plain(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    head = f"{':white_check_mark: over: ' if message.over else ':warning: '}{plain(message.subject)}"
    lines = [f"*{head}*", f"```{plain(message.text)}```" if message.text else "", message.link]
    return {
        "text": head,
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(filter(None, lines))}}],
    }


def _teams(message: Message) -> dict[str, Any]:
    lines = [(f"{'over: ' if message.over else ''}{message.subject}", "Bolder"), (message.text, "Default")]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "TextBlock", "text": text, "weight": weight, "wrap": True} for text, weight in lines if text],
        "actions": [{"type": "Action.OpenUrl", "title": "More", "url": message.link}] if "://" in message.link else [],
    }
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


FORMS: Mapping[str, Callable[[Message], dict[str, Any]]] = {"json": asdict, "slack": _slack, "teams": _teams}


class Messenger:
    """Sends messages in the background, each over every channel.

    Parameters
    ----------
    channels
        Where messages go.
    per_hour
        Maximum number of messages in an hour.
    pauses
        How long to wait before each retry; see tenacity.
    clock
        Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        per_hour: int = 30,
        pauses: tenacity.wait.WaitBaseT | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.channels = channels
        self.per_hour = per_hour
        self.clock = clock
        self.retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(OSError),
            stop=tenacity.stop_after_attempt(6),
            wait=pauses or tenacity.wait_exponential(multiplier=2, max=120),
            reraise=True,
        )
        self.outcomes: dict[tuple[str, str], int] = {
            (each.name, word): 0 for each in channels for word in ("sent", "lost")
        }
        self.left_out = 0
        self._moments: deque[float] = deque()
        self._waiting: queue.Queue[tuple[Message, Sequence[Channel]]] = queue.Queue()
        threading.Thread(target=self._work, daemon=True, name="messages").start()

    def tell(self, message: Message, only: str = "") -> None:
        """Take a message to be sent over every channel, or over one kind only."""
        channels = [each for each in self.channels if only in ("", each.name)]
        if not channels:
            return
        now = self.clock()
        while self._moments and now - self._moments[0] >= 3600:
            self._moments.popleft()
        if len(self._moments) >= self.per_hour:
            self.left_out += 1
            LOG.warning("left out, more than %d messages in an hour: %s", self.per_hour, message.subject)
            return
        self._moments.append(now)
        if self.left_out:
            note = f"{words.plural(self.left_out, 'message')} before this one left out: see the status page."
            message = replace(message, text="\n\n".join(filter(None, (message.text, note))))
            self.left_out = 0
        self._waiting.put((replace(message, text=message.text[:MAX_LETTERS]), channels))

    def wait(self) -> None:
        """Wait until every message was sent, or lost."""
        self._waiting.join()

    def metrics(self) -> Iterable[Metric]:
        """Return the number of messages by channel and outcome."""
        counted = CounterMetricFamily("opengenome_messages", "Messages sent or lost", labels=["channel", "outcome"])
        for labels, count in self.outcomes.items():
            counted.add_metric(labels, count)
        return [counted]

    def _work(self) -> None:
        while True:
            message, channels = self._waiting.get()
            for channel in channels:
                try:
                    self.retrying.copy()(channel.send, message)
                except Exception as error:  # the log and the metric tell; the next message may pass
                    LOG.error("%s not sent: %s: %s", channel.name, message.subject, error)
                    self.outcomes[channel.name, "lost"] += 1
                else:
                    self.outcomes[channel.name, "sent"] += 1
            self._waiting.task_done()


def channels_of(settings: MonitoringSettings) -> list[Channel]:
    """Return the channels that are set."""
    mail: list[Channel] = [Mail(settings)] if settings.smtp_server and settings.mail_to else []
    return mail + ([Webhook(settings)] if settings.webhook_url else [])


def of_problem(problem: Problem, over: bool) -> Message:
    """Return the message of a problem that begins, or is over."""
    return Message(f"{problem.rule.name}: {problem.summary}", link=problem.runbook, over=over)


class Notes(BaseModel):
    """What a rule says of an alert."""

    summary: str = ""
    runbook_url: str = ""


class Alert(BaseModel):
    """An alert, as Alertmanager posts it."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: Notes = Notes()


class Alerts(BaseModel):
    """What Alertmanager posts to a webhook: the alerts of a group."""

    alerts: list[Alert]


def of_alerts(given: Alerts) -> list[Message]:
    """Return the messages of a group of alerts."""
    return [
        Message(
            f"{alert.labels.get('alertname', 'alert')}: {alert.annotations.summary}",
            link=alert.annotations.runbook_url,
            over=alert.status == "resolved",
        )
        for alert in given.alerts
    ]
