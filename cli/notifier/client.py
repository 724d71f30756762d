"""The API of a running notifier, as the commands need it."""

from __future__ import annotations

from typing import Any

from cli.api_client import ApiClient, JsonAnswer
from cli.service_url import ServiceUrl
from service.errors import ServiceError

PAGE = 500


class NotifierUnusable(ServiceError):
    """The notifier does not answer, or does not admit us; the message says what to do."""


class NotifierClient:
    """Asks one notifier.

    Args:
        url: where it listens.
        token: its `token`, when it has one.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(self, url: str, *, token: str | None = None) -> None:
        self._url = url
        self._client = ApiClient(ServiceUrl.parse(url), api_key=token)

    def status(self) -> dict[str, Any]:
        """What waits, robots, quota.

        Raises:
            ServiceUnreachable, NotifierUnusable: it cannot be asked.
        """
        return self._ask("/v1/status")

    def messages(self, *, state: str) -> list[dict[str, Any]]:
        """All messages in a state, the newest first.

        Raises:
            ServiceUnreachable, NotifierUnusable: it cannot be asked.
        """
        found: list[dict[str, Any]] = []
        before = ""
        while page := self._ask(f"/v1/messages?state={state}&limit={PAGE}{before}")["messages"]:
            found += page
            before = f"&before={page[-1]['id']}"
        return found

    def resend(self, number: int) -> str | None:
        """Let a dead letter wait again; why that is not possible, or None.

        Raises:
            ServiceUnreachable, NotifierUnusable: it cannot be asked.
        """
        answer = self._checked(self._client.post(f"/v1/messages/{number}/resend", {}))
        return None if answer.status == 200 else str(answer.body.get("error"))

    def _ask(self, path: str) -> dict[str, Any]:
        answer = self._checked(self._client.get(path))
        if answer.status != 200:
            raise NotifierUnusable(f"the notifier at {self._url} answered {answer.status}: {answer.body.get('reason') or answer.body}")
        return answer.body

    def _checked(self, answer: JsonAnswer) -> JsonAnswer:
        if answer.status == 401:
            raise NotifierUnusable(f"the notifier at {self._url} asks for its token; give the file that has it with --token-file")
        return answer
