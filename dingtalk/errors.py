"""The errors of the notifier, drawn as a tree.

::

    NotifierError
    ├── ConfigError         the configuration cannot be used; says which entry, which value, which fix
    │   └── SettingsError   that of the simulator
    ├── PayloadError        what was posted is no notification of Alertmanager; the same bytes fail again
    ├── StoreUnavailable    nothing can be stored now; the sender shall try again
    ├── LinkRefused         a signed link that is forged, too old or already used
    ├── GroupUnknown        nothing of the group is kept
    ├── GroupOver           nothing of the group fires any more, so there is nothing to take over
    ├── NothingNamed        a silence without labels would silence everything
    ├── WishMalformed       who, why or how long is missing or cannot be used; says which
    ├── HeartbeatRefused    a heartbeat that proves nothing; says why
    │   └── ClockDiffers    the box lives, but the two clocks are too far apart
    ├── MaintenanceRefused  a maintenance that cannot be; says why
    └── UpstreamFailed      Prometheus or Alertmanager does not answer as it should; it is asked again later

Nothing here knows HTTP.
"""

from __future__ import annotations


class NotifierError(Exception):
    """All errors of this package; the message says what to do.

    Attributes:
        exit_code: of a process that ends by it.
    """

    exit_code = 70


class ConfigError(NotifierError):
    """The configuration cannot be used."""

    exit_code = 78  # EX_CONFIG of sysexits.h


class PayloadError(NotifierError):
    """What was posted is no notification of Alertmanager."""


class StoreUnavailable(NotifierError):
    """Nothing can be stored now."""


class LinkRefused(NotifierError):
    """A signed link that does not count."""


class GroupUnknown(NotifierError):
    """Nothing of the group is kept."""


class GroupOver(NotifierError):
    """Nothing of the group fires any more."""


class NothingNamed(NotifierError):
    """A silence without labels would silence everything."""


class WishMalformed(NotifierError):
    """What somebody asks for cannot be used."""


class UpstreamFailed(NotifierError):
    """Prometheus or Alertmanager does not answer as it should."""


class HeartbeatRefused(NotifierError):
    """A heartbeat that proves nothing."""


class ClockDiffers(HeartbeatRefused):
    """A heartbeat that is signed as it should be, but of another time.

    Attributes:
        box: who signed it.
        seconds: how long ago it was sent, by the box's clock; negative when that is ahead.
    """

    def __init__(self, message: str, *, box: str, seconds: float) -> None:
        super().__init__(message)
        self.box = box
        self.seconds = seconds


class MaintenanceRefused(NotifierError):
    """A maintenance that cannot be."""
