"""What a page of ours never does, noted as it happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request, WebError


@dataclass
class Watch:
    """The faults of one browser context: errors, dialogs, other windows, and requests that nobody allowed."""

    may_load: tuple[str, ...]
    """Addresses, by how they begin, that may be asked for besides the one that the test opens first."""
    faults: list[str] = field(default_factory=list)
    opened: str = ""

    def follow(self, context: BrowserContext) -> None:
        """Note what all pages of the context do from now on."""
        context.on("console", self._said)
        context.on("weberror", self._failed)
        context.on("dialog", self._asked)
        context.on("request", self._requested)
        context.on("page", self._appeared)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(f"console: {message.text}")

    def _failed(self, error: WebError) -> None:
        self.faults.append(f"script: {error.error.message}")

    def _asked(self, dialog: Dialog) -> None:
        self.faults.append(f"{dialog.type} dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Request) -> None:
        address = request.url.partition("#")[0]
        self.opened = self.opened or address
        if address != self.opened and not address.startswith(self.may_load):
            self.faults.append(f"request: {request.url}")

    def _appeared(self, page: Page) -> None:
        self.faults.append(f"another window: {page.url}")
