"""The embedded store first, and the stack beside it: what a process knows by itself is told at once and then enriched."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from service.errors import RequestNotFound, StoreError
from service.requeststore.stack_search import is_cursor

if TYPE_CHECKING:
    from service.requeststore.base import RequestPage, RequestStore, RequestStory, Search
    from service.requeststore.stack import StackRequestStore


class LayeredRequestStore:
    """Tells from the embedded store what it knows, with what only the stack knows added; all else from the stack.

    Args:
        embedded: the rows of this data folder.
        stack: what all processes sent.
    """

    def __init__(self, embedded: RequestStore, stack: StackRequestStore) -> None:
        self._embedded = embedded
        self._stack = stack

    @property
    def searches_everywhere(self) -> bool:
        """Whether the stack can be searched."""
        return self._stack.searches_everywhere

    async def story(self, request_id: str, *, limit: int = 300) -> RequestStory:
        """Tell all attempts of a request id; of one pair for `<id>:<index>`, of the whole call for the bare id.

        Raises:
            RequestNotFound: nothing is known of it, here or there.
            StoreError: it is not known to those that could be asked, and not all could be.
        """
        try:
            story = await self._embedded.story(request_id, limit=limit)
        except RequestNotFound:
            if not self._stack.knows_requests:
                raise
            return await self._stack.story(request_id, limit=limit)
        except StoreError as error:
            if not self._stack.knows_requests:
                raise
            story = await self._stack.story(request_id, limit=limit)
            return replace(story, missing=(f"{error}: captured text is missing", *story.missing))
        return await self._stack.enrich(story)

    async def search(self, search: Search) -> RequestPage:
        """List inferences of the embedded store, newest first; those of the stack when asked for, or when the embedded one cannot be read.

        A page of the stack is followed by pages of the stack, whoever asked for it.

        Raises:
            InvalidQuery: the cursor was made by neither store or not for this search, or the search is of everywhere without Loki.
            StoreError: none of those that may answer can be read.
        """
        begun_there = search.cursor is not None and is_cursor(search.cursor)
        if begun_there or (search.everywhere and self.searches_everywhere):
            return await self._stack.search(search)
        try:
            return await self._embedded.search(search)
        except StoreError:
            if search.cursor is not None or not self.searches_everywhere:
                raise
            return await self._stack.search(search)

    def close(self) -> None:
        """Close both, the embedded store first."""
        self._embedded.close()
        self._stack.close()
