"""Which way a message takes: its partner's own server or gateway, the platform's server, or none (N4, N6)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from portal.domain.delivery.models import ChannelSettings, Security
from portal.domain.messages.models import ACCESS, Fault
from portal.domain.messages.models import Channel as Kind
from portal.domain.vault import Unreadable
from portal.settings import Environment, Settings
from portal.worker.channels import Channel, ChannelDown, LogChannel, MailServer, SmtpChannel, TextChannel

PLATFORM = "platform"


class Ways:
    """Opens each way when it is first taken and closes all at the end of ``with``: one connection for a whole batch.

    ``known`` are the settings of the partners whose messages are sent; a given ``channel`` takes everything instead.
    """

    def __init__(
        self, settings: Settings, known: Mapping[int, ChannelSettings], channel: Channel | None = None
    ) -> None:
        self._settings = settings
        self._known = known
        self._channel = channel
        self._stack = ExitStack()
        self._open: dict[Hashable, Channel] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def name(self, partner_id: int, kind: str, says: str = "") -> Hashable | None:
        """Return what names the way of a partner's messages over a channel; ``None`` where there is none.

        ``says`` is the kind of message: what lets somebody in goes by e-mail over the platform's server alone, since
        they may be somebody to other partners too.
        What one message finds closed is closed to every other with the same name.
        """
        if self._channel is not None or self._settings.doorstep_env is Environment.DEMO:
            return PLATFORM
        own = self._known.get(partner_id)
        if kind == Kind.TEXT:
            if own is not None and own.text_gateway:
                return (partner_id, kind)
            return None if self._settings.is_production else PLATFORM
        return (partner_id, kind) if own is not None and own.own_mail and says not in ACCESS else PLATFORM

    def way(self, partner_id: int, kind: str, says: str = "") -> Channel:
        """Return the way, open; raises ``ChannelDown`` where its secrets cannot be read."""
        name = self.name(partner_id, kind, says)
        # Without a gateway a text has no server to go to, where e-mail has the platform's.
        key = (name, kind) if name == PLATFORM else name
        if key not in self._open:
            self._open[key] = self._stack.enter_context(self._made(partner_id, kind, name))
        return self._open[key]

    def _made(self, partner_id: int, kind: str, name: Hashable | None) -> Any:
        settings = self._settings
        if self._channel is not None:
            return self._channel
        if name == PLATFORM:
            leaves = kind != Kind.TEXT and settings.doorstep_env is not Environment.DEMO
            if settings.smtp_url and leaves:
                return SmtpChannel(MailServer.of(settings.smtp_url, settings.mail_from))
            return LogChannel()
        own = self._known[partner_id]
        try:
            if kind == Kind.TEXT:
                return TextChannel(settings.vault.open(own.text_gateway), anywhere=settings.private_hosts)
            return SmtpChannel(
                MailServer(
                    host=own.smtp_host,
                    port=own.smtp_port,
                    sender=own.sender,
                    security=Security(own.smtp_security),
                    user=own.smtp_user,
                    password=settings.vault.open(own.smtp_password),
                    anywhere=settings.private_hosts,
                )
            )
        except Unreadable as error:
            raise ChannelDown(f"the stored secret is {error}", Fault.SIGN_IN) from error
