"""Whom a scheduled run tells of what, that a message which fails changes nothing else, and that no secret is told."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from receiving import Mailbox, Webhook, mailbox, webhook
from run_place import Place

from scheduled_run import notifying

SECRET = "SECRET-OF-THE-PLATFORM"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.publish("first")
    return place


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as hook:
        yield hook


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A mail server whose certificate this process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with mailbox(context) as box:
        yield box


def by_mail(box: Mailbox) -> dict[str, str]:
    return {
        "NOTIFY_EMAIL_TO": "finance@example.com, data@example.com",
        "NOTIFY_EMAIL_FROM": "warehouse@example.com",
        "SMTP_HOST": "localhost",
        "SMTP_PORT": str(box.port),
        "SMTP_USER": box.user,
        "SMTP_PASSWORD": box.password,
    }


def test_a_failing_source_is_told_by_webhook_and_by_mail_and_nothing_is_published(place, hook, box):
    place.run()
    before = place.published.read_bytes()
    place.publish("second")
    steps = place.steps(extract="print('The token is not valid (401): make a new one.'); sys.exit(2)")
    assert place.run(steps, NOTIFY_WEBHOOK=hook.address, **by_mail(box)) == 2
    assert place.published.read_bytes() == before
    (path, content_type, body) = hook.received[0]
    assert (path, content_type) == ("/services/SECRET-PATH", "application/json; charset=utf-8")
    assert body.keys() == {"text"}
    subject, *lines = body["text"].splitlines()
    assert subject == "Usage warehouse: scheduled run failed"
    assert lines[0] == "Nothing was extracted, so nothing was built or published."
    assert "Readers see the figures as of 2026-11-18, as before." in lines
    assert "The token is not valid (401): make a new one." in lines
    (message,) = box.received
    assert box.was_encrypted == [True]
    assert (message["From"], message["To"]) == ("warehouse@example.com", "finance@example.com, data@example.com")
    assert message["Subject"] == subject
    assert message.get_content().splitlines() == lines
    assert [sent["result"] for sent in place.summary()["notifications"]] == ["sent", "sent"]


def test_a_run_that_succeeds_tells_nothing(place, hook, box):
    assert place.run(NOTIFY_WEBHOOK=hook.address, NOTIFY_FINDINGS="100", **by_mail(box)) == 0
    assert (hook.received, box.received, place.summary()["notifications"]) == ([], [], [])


@pytest.mark.parametrize(("limit", "is_told"), [("4", True), ("5", False)])
def test_findings_and_quarantined_rows_above_the_limit_are_told(place, hook, limit, is_told):
    """Two findings and three quarantined rows."""
    assert place.run(NOTIFY_WEBHOOK=hook.address, NOTIFY_FINDINGS=limit) == 0
    assert [text.splitlines()[0] for text in hook.texts] == (
        ["Usage warehouse: 5 findings and quarantined rows"] if is_told else []
    )


ALLOWANCE = ("1008", "2026-11-01", None, None, "allowance_percent")
REACHED = (
    (*ALLOWANCE, 70, "2026-11-10"),  # below the limit
    (*ALLOWANCE, 80, "2026-11-12"),
    (*ALLOWANCE, 90, "2026-11-12"),
    ("1008", "2026-09-01", None, None, "allowance_percent", 100, "2026-10-13"),  # more than 35 days ago
    ("*", "2026-11-01", None, None, "allowance_percent", 100, "2026-11-17"),
    ("*", "2026-11-01", "1009", "recipe-1", "recipe_tasks", 1_000_000, "2026-11-18"),
)
TOLD = [
    "All customers: 100 % of the allowance on 2026-11-17, in the billing period from 2026-11-01",
    "Customer (1009): 1,000,000 tasks of recipe recipe-1 on 2026-11-18, in the billing period from 2026-11-01",
    "Acme &amp; &lt;Sons&gt; (1008): 90 % of the allowance on 2026-11-12, in the billing period from 2026-11-01",
]


def test_each_usage_threshold_is_told_once_and_of_several_the_highest(place, hook):
    usage = {"NOTIFY_WEBHOOK": hook.address, "NOTIFY_USAGE_PERCENT": "80"}
    place.publish("first", thresholds=REACHED)
    assert place.run(**usage) == 0
    assert hook.texts[0].splitlines()[0] == "Usage warehouse: 3 usage thresholds reached"
    assert sorted(TOLD) == sorted(line for line in hook.texts[0].splitlines() if "billing period" in line)
    place.publish("second", published_at="2026-11-19 05:00:00", thresholds=(*REACHED, (*ALLOWANCE, 100, "2026-11-18")))
    assert place.run(**usage) == 0
    told = [line for line in hook.texts[1].splitlines() if "billing period" in line]
    assert told == [TOLD[2].replace("90 %", "100 %").replace("11-12", "11-18")]
    assert [place.summary()["thresholds_reached"], len(hook.texts)] == [1, 2]
    assert not any(word in (place.runs / "notified.json").read_text() for word in ("1008", "recipe-1"))


def test_a_threshold_that_could_not_be_told_is_told_by_the_next_run(place, hook):
    usage = {"NOTIFY_WEBHOOK": hook.address, "NOTIFY_USAGE_PERCENT": "80"}
    for number, answer in enumerate((500, 200, 200)):
        hook.answers = (answer, {})
        place.publish(f"run-{number}", published_at=f"2026-11-1{number} 05:00:00", thresholds=REACHED)
        assert place.run(**usage) == 0
    assert [len(hook.received), place.summary()["thresholds_reached"]] == [2, 0]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ((500, {}), "the server answered 500"),
        ((302, {"Location": "http://127.0.0.1:9/"}), "the server answered 302"),
        (None, "Connection refused"),
    ],
)
def test_a_notification_that_fails_is_said_and_changes_nothing_else(place, hook, answers, said, capfd):
    address = hook.address if answers else "http://127.0.0.1:9/services/SECRET-PATH"
    hook.answers = answers or (200, {})
    assert place.run(place.steps(build="sys.exit(1)"), NOTIFY_WEBHOOK=address) == 3
    sentence = f"Notification by webhook through 127.0.0.1 failed: {said}."
    assert sentence in capfd.readouterr().out
    assert place.summary()["notifications"] == [{"by": "webhook", "result": "failed", "said": sentence}]


def test_a_server_that_does_not_answer_holds_no_run(place, monkeypatch, capfd):
    monkeypatch.setattr(notifying, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        environment = {
            "NOTIFY_WEBHOOK": f"http://127.0.0.1:{port}/",
            "NOTIFY_EMAIL_TO": "a@example.com",
            "NOTIFY_EMAIL_FROM": "b@example.com",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(port),
        }
        assert place.run(place.steps(build="sys.exit(1)"), **environment) == 3
    assert capfd.readouterr().out.count("failed: no answer within 0.05 seconds.") == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"SMTP_PASSWORD": "SECRET-BUT-WRONG"}, "the server refused SMTP_USER and SMTP_PASSWORD (code 535)"),
        ({"SMTP_HOST": "127.0.0.1"}, "certificate verify failed"),
    ],
)
def test_mail_goes_only_to_a_server_that_is_known_and_accepts_the_password(place, box, change, said, capfd):
    assert place.run(place.steps(build="sys.exit(1)"), **(by_mail(box) | change)) == 3
    printed = capfd.readouterr().out
    assert "Notification by e-mail through" in printed
    assert said in printed
    assert box.received == []


def test_no_log_summary_or_notification_contains_a_secret(place, hook, box, capfd):
    """Each step prints its whole environment, and what a careless library would print of a request."""
    secrets = {
        "WORKATO_TOKEN": SECRET,
        "AWS_SECRET_ACCESS_KEY": "SECRET/OF+THE/STORE",
        "GOOGLE_CREDENTIALS": 'SECRET-LINE-1\n"SECRET-LINE-2"',
        "SECRET_WITH_A_PART": "SECRET-OF-THE-PLATFORM-AND-MORE",
    }
    careless = f"print(dict(os.environ)); print('Authorization: Bearer {SECRET}'); sys.exit(1)"
    environment = secrets | by_mail(box) | {"NOTIFY_WEBHOOK": hook.address}
    assert place.run(place.steps(extract=careless, build=careless), **environment) == 3
    written = [path.read_text() for path in place.warehouse.rglob("*") if path.suffix in (".log", ".json")]
    told = [*hook.texts, *(message.as_string() for message in box.received)]
    assert len(written) == 4 and len(told) == 2
    for text in (capfd.readouterr().out, *written, *told):
        assert not any(part in text for part in ("SECRET-", "SECRET/", "AND-MORE"))
    (log,) = place.runs.glob("*.log")
    assert "Authorization: Bearer ***" in log.read_text(encoding="utf-8")
    assert "SMTP_PASSWORD" not in log.read_text(encoding="utf-8")  # the steps do not get it
