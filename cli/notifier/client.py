"""The API of a running notifier, as the commands need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.api_client import ApiClient, JsonAnswer, ServiceUnreachable
from cli.service_url import ServiceUrl
from service.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 500
ANSWER_SECONDS = 20.0
"""It asks Alertmanager for a silence, which may take ten."""


class NotifierUnusable(ServiceError):
    """The notifier does not answer, or does not admit us; the message says what to do."""


class NotifierClient:
    """Asks one notifier.

    Args:
        url: where it listens.
        token: its `token`, when it has one.
        timeout: seconds it may take.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout: float = ANSWER_SECONDS) -> None:
        self._url = url
        self._client = ApiClient(ServiceUrl.parse(url), api_key=token, timeout=timeout)

    def status(self) -> dict[str, Any]:
        """What waits, robots, quota.

        Raises:
            NotifierUnusable: it cannot be asked.
        """
        return self._ask("/v1/status")

    def messages(self, *, state: str) -> list[dict[str, Any]]:
        """All messages in a state, the newest first.

        Raises:
            NotifierUnusable: it cannot be asked.
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
            NotifierUnusable: it cannot be asked.
        """
        answer = self._checked(lambda: self._client.post(f"/v1/messages/{number}/resend", {}))
        return None if answer.status == 200 else str(answer.body.get("error"))

    def group(self, group: str) -> dict[str, Any]:
        """How a group stands: its alerts, who was asked, who has it.

        Raises:
            NotifierUnusable: it cannot be asked, or knows no such group.
        """
        return self._ask(f"/v1/groups/{group}")

    def acknowledge(self, group: str, *, by: str) -> dict[str, Any]:
        """Take a group over; who has it, and whether by this call.

        Raises:
            NotifierUnusable: it cannot be asked, or refuses.
        """
        return self._done(group, "ack", {"by": by})

    def silence(self, group: str, *, by: str, reason: str, seconds: float) -> dict[str, Any]:
        """Silence a group; the silence, its labels and its end.

        Raises:
            NotifierUnusable: it cannot be asked, or refuses.
        """
        return self._done(group, "silence", {"by": by, "reason": reason, "seconds": seconds})

    def maintenance(self) -> dict[str, Any] | None:
        """The maintenance that is going on or planned.

        Raises:
            NotifierUnusable: it cannot be asked, or there is no Alertmanager for it to silence.
        """
        found: dict[str, Any] | None = self._ask("/v1/maintenance")["maintenance"]
        return found

    def arrange(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Have a maintenance begin, planned or end; what was done for it.

        Raises:
            NotifierUnusable: it cannot be asked, or refuses.
        """
        answer = self._checked(lambda: self._client.post("/v1/maintenance", wanted))
        if answer.status != 200:
            raise NotifierUnusable(f"the notifier at {self._url} answered {answer.status}: {_reason(answer)}")
        return answer.body

    def _done(self, group: str, act: str, members: dict[str, object]) -> dict[str, Any]:
        answer = self._checked(lambda: self._client.post(f"/v1/groups/{group}/{act}", members))
        if answer.status != 200:
            raise NotifierUnusable(f"the notifier at {self._url} answered {answer.status}: {_reason(answer)}")
        return answer.body

    def _ask(self, path: str) -> dict[str, Any]:
        answer = self._checked(lambda: self._client.get(path))
        if answer.status != 200:
            raise NotifierUnusable(f"the notifier at {self._url} answered {answer.status}: {_reason(answer)}")
        return answer.body

    def _checked(self, ask: Callable[[], JsonAnswer]) -> JsonAnswer:
        try:
            answer = ask()
        except ServiceUnreachable as error:
            raise NotifierUnusable(f"{error}; `mgeo notifier run` starts it, and --url says where it is") from error
        if answer.status == 401:
            raise NotifierUnusable(f"the notifier at {self._url} asks for its token; give the file that has it with --token-file")
        return answer


def _reason(answer: JsonAnswer) -> object:
    return answer.body.get("reason") or answer.body.get("error") or answer.body
