"""From what a caller sent to the text a model may see. Pure.

An address keeps its characters but for those nobody can see: control and format characters (Unicode categories Cc and
Cf: NUL, right-to-left marks, zero-width characters, byte order marks) go, tabs and line breaks become a space, blanks
at both ends go. Nothing else is normalised: blanks inside, full-width letters and traditional characters stay, because
the model was trained on raw text and its tokenizer has its own rules.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from service.errors import ErrorType, InvalidInput

ADDRESS_FIELDS = ("address1", "address2")

_BLANK = r"\t-\r\x1c-\x1e\x85\u2028\u2029"
# Cc and Cf, written out: asking `unicodedata` for all of Unicode would cost every import a tenth of a second.
_UNSEEN = (
    r"\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0001\U000e0020-\U000e007f"
)
_BLANKS = re.compile(f"[{_BLANK}]")
_UNSEEN_RUN = re.compile(f"[{_UNSEEN}]+")
_CONTENT = re.compile(rf"[^\s{_UNSEEN}]")
_WINDOW = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanText:
    """One address as the model may see it.

    Attributes:
        text: valid Unicode, stripped, not empty.
        length: characters as received.
        truncated: whether the end was cut off.
    """

    text: str
    length: int
    truncated: bool


def clean(value: object, *, field: str, max_length: int, strict: bool) -> CleanText:
    """Clean one address. Cleaning what was cleaned changes nothing.

    A cut never parts a character from the combining marks behind it. The time for a long text is that of finding its
    first `max_length` visible characters, and one fast look at the rest.

    Args:
        value: what stood in the parsed body.
        field: the field's name, for the error.
        max_length: most characters to keep.
        strict: refuse a longer address instead of cutting it.

    Raises:
        InvalidInput: not a text, not valid Unicode, nothing visible in it, or too long in strict mode. Never quotes it.
    """
    if not isinstance(value, str):
        raise InvalidInput(ErrorType.WRONG_TYPE, f"{field} must be a string", field=field)
    if len(value) <= max_length and value.isprintable():
        # Nearly every address: nothing to remove, and no surrogate, since `isprintable` is false for all of them.
        text, longer = value.strip(), False
    else:
        text, longer = _visible_head(_valid(value, field), max_length)
    if not text:
        raise InvalidInput(ErrorType.EMPTY_ADDRESS, f"{field} has no visible character", field=field)
    if longer and strict:
        raise InvalidInput(ErrorType.ADDRESS_TOO_LONG, f"{field} has more than {max_length} characters", field=field)
    return CleanText(text=text, length=len(value), truncated=longer)


def pair_fields(body: object) -> tuple[object, object]:
    """The two raw addresses of a parsed JSON body; what they are is for `clean` to judge, other fields are ignored.

    Raises:
        InvalidInput: the body is no object, or lacks one of the two.
    """
    if not isinstance(body, dict):
        raise InvalidInput(ErrorType.WRONG_TYPE, "a pair must be a JSON object with address1 and address2")
    for field in ADDRESS_FIELDS:
        if field not in body:
            raise InvalidInput(ErrorType.MISSING_FIELD, f"{field} is missing", field=field)
    return body["address1"], body["address2"]


def _valid(value: str, field: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        # Not chained: the error holds the text.
        raise InvalidInput(ErrorType.INVALID_TEXT, f"{field} has half of a surrogate pair", field=field) from None
    return value


def _visible_head(value: str, max_length: int) -> tuple[str, bool]:
    first = _CONTENT.search(value)
    if first is None:
        return "", False
    position = first.start()
    head = ""
    while position < len(value) and len(head) <= max_length:
        head += _without_unseen(value[position : position + _WINDOW])
        position += _WINDOW
    text = head.rstrip()
    if len(text) <= max_length and _CONTENT.search(value, position) is None:
        return text, False
    return head[: _cut(head, max_length)].rstrip(), True


def _without_unseen(window: str) -> str:
    return _UNSEEN_RUN.sub("", _BLANKS.sub(" ", window))


def _cut(head: str, max_length: int) -> int:
    cut = max_length
    while cut > 0 and unicodedata.category(head[cut]).startswith("M"):
        cut -= 1
    return cut or max_length
