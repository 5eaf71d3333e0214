"""A notice as an e-mail."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage

from harness.errors import HarnessError
from harness.notices import Notice
from harness.notices.channels import Mail, secret

DEADLINE_SECONDS = 20.0


def send(notice: Notice, channel: Mail) -> None:
    """Send to all receivers at once. Raises HarnessError."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = notice.title, channel.sender, ", ".join(channel.to)
    message.set_content(notice.text)
    password = secret(channel.password_env) if channel.password_env else ""
    try:
        with _connected(channel) as server:
            if channel.user:
                server.login(channel.user, password)
            server.send_message(message)
    except smtplib.SMTPResponseException as error:
        raise HarnessError(f"{channel.server} answered {error.smtp_code}") from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        # A password that is not ASCII would stand in the message of a ValueError.
        why = type(error).__name__ if isinstance(error, ValueError) else error
        raise HarnessError(f"{channel.server}:{channel.port}: {why}") from None


def _connected(channel: Mail) -> smtplib.SMTP:
    if channel.security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(channel.server, channel.port, timeout=DEADLINE_SECONDS, context=context)
    server = smtplib.SMTP(channel.server, channel.port, timeout=DEADLINE_SECONDS)
    if channel.security == "starttls":
        server.starttls(context=ssl.create_default_context())
    return server
