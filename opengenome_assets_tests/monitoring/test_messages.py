"""Messages reach a real mail server and a real receiver: retried, limited, signed, in each form."""

import hashlib
import hmac
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import tenacity

from opengenome_assets.monitoring.messages import Alerts, Message, Messenger, channels_of, of_alerts
from opengenome_assets.monitoring.settings import MonitoringSettings
from opengenome_assets.settings import SettingsError
from opengenome_assets_tests.monitoring.receivers import bodies, mail_server, receiver
from opengenome_assets_tests.processes import free_port

FAILED = Message("Run 12345678 of nightly failed", "parse: a.fa, record 3: <odd> & worse", "https://docs/#runfailed")
AT_ONCE = tenacity.wait_none()


def mail(server: str, **values: Any) -> MonitoringSettings:
    return MonitoringSettings.of(
        {"smtp_server": server, "smtp_security": "none", "mail_to": "team@example.org, night@example.org", **values}
    )


def tell(settings: MonitoringSettings, *messages: Message, per_hour: int = 30) -> Messenger:
    messenger = Messenger(channels_of(settings), per_hour, AT_ONCE)
    for message in messages:
        messenger.tell(message)
    messenger.wait()
    return messenger


def test_a_mail_has_subject_reasons_and_runbook() -> None:
    with mail_server() as (server, kept):
        messenger = tell(mail(server), FAILED, Message("DiskNearlyFull: Only 5 % of /data is free", over=True))
    first, second = kept.letters
    assert first["Subject"] == "[OpenGenome] Run 12345678 of nightly failed"
    assert first["To"] == "team@example.org, night@example.org"
    assert "record 3: <odd> & worse" in first.get_content()
    assert "https://docs/#runfailed" in first.get_content()
    assert second["Subject"].startswith("[OpenGenome] over: DiskNearlyFull")
    assert messenger.outcomes == {("mail", "sent"): 2, ("mail", "lost"): 0}


def test_a_busy_mail_server_is_tried_again_and_one_that_refuses_is_not(caplog: pytest.LogCaptureFixture) -> None:
    with mail_server("451 try later", "451 try later") as (server, kept):
        assert tell(mail(server), FAILED).outcomes["mail", "sent"] == 1
    assert (kept.attempts, len(kept.letters)) == (3, 1)
    with mail_server("550 no such user") as (server, kept):
        assert tell(mail(server), FAILED, FAILED).outcomes == {("mail", "sent"): 1, ("mail", "lost"): 1}
    assert kept.attempts == 2
    assert "550" in caplog.text


def test_a_server_that_is_away_loses_the_message_after_some_attempts(caplog: pytest.LogCaptureFixture) -> None:
    assert tell(mail(f"127.0.0.1:{free_port()}"), FAILED).outcomes["mail", "lost"] == 1
    assert "mail not sent: Run 12345678 of nightly failed" in caplog.text


@pytest.mark.long
@pytest.mark.parametrize(
    ("form", "found"),
    [
        (
            "json",
            lambda body: body == asdict(FAILED),
        ),
        ("slack", lambda body: "&lt;odd&gt; &amp; worse" in body["blocks"][0]["text"]["text"]),
        ("teams", lambda body: body["attachments"][0]["content"]["body"][1]["text"] == FAILED.text),
    ],
)
def test_a_webhook_gets_the_form_that_is_set_with_a_signature(form: str, found: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    with receiver(503, 429) as (url, accepted):
        given = {"webhook_url": url, "webhook_form": form, "webhook_secret_path": str(tmp_path / "secret")}
        assert tell(MonitoringSettings.of(given), FAILED).outcomes["webhook", "sent"] == 1
    assert found(bodies(accepted)[0])
    headers, body = accepted[0]
    moment, _, digest = headers["x-opengenome-signature"].removeprefix("t=").partition(",sha256=")
    assert digest == hmac.new(b"s3cret", moment.encode() + b"." + body, hashlib.sha256).hexdigest()


@pytest.mark.long
def test_a_webhook_that_refuses_is_not_asked_again_and_its_address_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with receiver(404) as (url, accepted):
        assert tell(MonitoringSettings.of({"webhook_url": url}), FAILED).outcomes["webhook", "lost"] == 1
    assert accepted == []
    assert "the webhook answers 404" in caplog.text
    assert "secret-path" not in caplog.text


@pytest.mark.long
def test_messages_beyond_the_limit_are_left_out_and_the_next_one_says_so() -> None:
    now = [0.0]
    with receiver() as (url, accepted):
        messenger = Messenger(channels_of(MonitoringSettings.of({"webhook_url": url})), 2, AT_ONCE, lambda: now[0])
        for number in range(5):
            messenger.tell(Message(f"message {number}"))
        now[0] = 3601
        messenger.tell(Message("later", "text"))
        messenger.wait()
    assert [body["subject"] for body in bodies(accepted)] == ["message 0", "message 1", "later"]
    assert bodies(accepted)[2]["text"] == "text\n\n3 messages before this one left out: see the status page."


def test_alerts_of_alertmanager_are_messages() -> None:
    alert = {
        "status": "resolved",
        "labels": {"alertname": "DaemonDown"},
        "annotations": {"summary": "gone", "runbook_url": "https://r"},
    }
    assert of_alerts(Alerts.model_validate({"alerts": [alert]})) == [
        Message("DaemonDown: gone", link="https://r", over=True)
    ]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("OPENGENOME_MESSAGES", "problems,disasters", "'disasters': expected problems, failures, successes"),
        ("OPENGENOME_SMTP_SERVER", "mail.example.org", "expected host:port"),
        ("OPENGENOME_WEBHOOK_URL", "hooks.example.org", "expected an address that begins with https://"),
        ("OPENGENOME_WEBHOOK_SECRET_PATH", "/nowhere/secret", "/nowhere/secret, which cannot be read"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable}.*{words}"):
        MonitoringSettings.from_environment({variable: value})
