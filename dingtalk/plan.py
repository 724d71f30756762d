"""Pure: what is told now, to whom by which robot, and what waits.

While there is room, each group has a message of its own. When more groups wait than there is room for, those that have waited longest
keep theirs and the others are told together in a digest; critical ones first, in a lane of their own. A group has one bundle of
messages under way at a time, so that its end never overtakes its beginning; what comes meanwhile waits and is merged.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from dingtalk import rate
from dingtalk.quota import Degradation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dingtalk.rate import Limit

DIGEST_LINES = 100
"""Alerts that a part of a digest has room for, as an estimate."""
DIGEST_ALERTS = 1_000
"""A digest takes no further group beyond so many alerts, and one that is not critical none beyond the room there is: what waits longer is
merged better, and what is written down holds up what follows it."""
GROUP_ALERTS = 50
"""A group with more alerts is told as a digest: nobody reads fifty alerts in full on a phone."""
DIGEST_EVERY = 900.0
"""Seconds between digests at the step DIGESTS."""
FLAP_WINDOW = 900.0
FLAP_BUNDLES = 4
"""A group that was told so often within the window flaps: it is told less often."""
FLAP_HOLD = 300.0
FLAP_HOLD_CRITICAL = 30.0
MAX_DELAY = 3600.0
"""No attempt is planned further ahead; a later one is a mark of a clock that was set back."""


class Lane(StrEnum):
    """The two queues."""

    CRITICAL = "critical"
    NORMAL = "normal"


class Form(StrEnum):
    """How a bundle of messages is rendered."""

    GROUP = "group"
    DIGEST = "digest"
    PLAIN = "plain"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingGroup:
    """What waits of one group for one receiver.

    Attributes:
        lane: critical as soon as one of its receipts is.
        oldest: when its first receipt came, in seconds since 1970.
        receipts, alerts: how many.
        repeats: how many of the receipts tell again what was told.
        busy: an earlier bundle of it is still under way. Nothing critical waits for a bundle that is not: it would wait for a part that
            may have to be repeated by a silenced robot.
        recent: bundles of it within `FLAP_WINDOW`.
    """

    receiver: str
    group_key: str
    lane: Lane
    oldest: float
    receipts: int
    alerts: int
    repeats: int = 0
    busy: bool = False
    recent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """The next part of one bundle under way.

    Attributes:
        key: what its robot is chosen by, so that a group stays with one.
        left: parts still to be sent, with this one.
        pinned: the robot that may have sent it already; only there DingTalk recognises it.
        recallable: nothing of the bundle stands in the group, or may.
        followed: more waits for a group of it.
        fallback_tries: how often the fallback channels refused it.
    """

    id: int
    bundle: int
    receiver: str
    key: str
    lane: Lane
    received_at: float
    next_attempt_at: float = 0.0
    left: int = 1
    pinned: str = ""
    recallable: bool = False
    followed: bool = False
    attempts: int = 0
    fallback_tries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotView:
    """A robot as it is now.

    Attributes:
        usable: neither silenced nor gone nor unreachable.
        hopeless: not usable until somebody mends something, or until the month ends.
        busy: a send is under way.
        probing: it was unreachable; one message shall find out whether it still is.
        ages: seconds since each of its sends, of the last two windows.
        step: of its organisation.
    """

    name: str
    limit: Limit
    usable: bool = True
    hopeless: bool = False
    busy: bool = False
    probing: bool = False
    ages: tuple[float, ...] = ()
    step: Degradation = Degradation.NONE

    def serves(self, lane: Lane) -> bool:
        """Whether it tells what is in this lane, when it has room."""
        return self.usable and (lane is Lane.CRITICAL or self.step < Degradation.CRITICAL_ONLY)

    def room(self, lane: Lane) -> int:
        """How many messages of this lane it may send at this moment."""
        if not self.serves(lane):
            return 0
        free = rate.room(self.limit, self.ages, critical=lane is Lane.CRITICAL)
        return min(free, 1) if self.probing else free


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The robots of one receiver, and what happens without them."""

    robots: tuple[str, ...]
    fallback: bool = False
    fallback_after: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What shall be rendered and told together; its groups are all of one receiver."""

    receiver: str
    lane: Lane
    form: Form
    groups: tuple[WaitingGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What becomes of the groups that wait; those that are not named go on waiting.

    Attributes:
        bundles: to be told now.
        unsaid: groups with nothing but repeats, while repeats are given up.
    """

    bundles: tuple[Bundle, ...] = ()
    unsaid: tuple[WaitingGroup, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that a plan follows from.

    Attributes:
        robots, pools: by the names of robots and receivers.
        now: seconds since 1970.
        scale: shortens durations.
    """

    robots: Mapping[str, RobotView]
    pools: Mapping[str, Pool]
    now: float
    scale: float = 1.0

    def pool(self, receiver: str, key: str) -> list[RobotView]:
        """The robots of a receiver, those first that a key prefers."""
        return [self.robots[name] for name in preferred(self.pools[receiver].robots, key)]


def preferred(robots: Iterable[str], key: str) -> list[str]:
    """Robots in the order a key prefers them: when one goes away, only its own keys move (rendezvous hashing)."""
    return sorted(robots, key=lambda name: (hashlib.blake2b(f"{name}\0{key}".encode(errors="replace"), digest_size=8).digest(), name))


def choose(outgoing: Sequence[Outgoing], situation: Situation) -> list[tuple[Outgoing, str]]:
    """Which parts are sent at this moment, and by which robot: at most one a robot."""
    taken: set[str] = set()
    sends = []
    for part in _in_order(outgoing):
        if not is_due(part, situation):
            continue
        robot = _robot_for(part, situation, taken)
        if robot is not None:
            taken.add(robot)
            sends.append((part, robot))
    return sends


def is_due(part: Outgoing, situation: Situation) -> bool:
    """Whether its time has come, also after the clock was set back."""
    ahead = part.next_attempt_at - situation.now
    return ahead <= 0 or ahead > MAX_DELAY * situation.scale


def _in_order(outgoing: Sequence[Outgoing]) -> list[Outgoing]:
    return sorted(outgoing, key=lambda part: (part.lane is not Lane.CRITICAL, part.bundle, part.id))


def candidates(part: Outgoing, situation: Situation) -> list[RobotView]:
    """The robots that may send a part as soon as they have room, preferred ones first.

    A part that may stand in the group already waits for the robot that sent it, unless that one is gone.
    """
    pool = situation.pool(part.receiver, part.key)
    pinned = next((robot for robot in pool if robot.name == part.pinned), None)
    if pinned is not None and not pinned.hopeless:
        # What it may have sent it may repeat, also when its quota is kept for critical alerts.
        return [pinned] if pinned.usable else []
    return [robot for robot in pool if robot.serves(part.lane)]


def _robot_for(part: Outgoing, situation: Situation, taken: set[str]) -> str | None:
    for robot in candidates(part, situation):
        if rate.room(robot.limit, robot.ages, critical=part.lane is Lane.CRITICAL) == 0:
            continue
        if robot.name not in taken and not robot.busy:
            return robot.name
        if part.lane is Lane.NORMAL:
            return None  # it is free in a moment, and the group stays with it
    return None


def stuck(part: Outgoing, situation: Situation) -> bool:
    """Whether no robot can be expected to tell it, for so long that the fallback channels shall."""
    if situation.now - part.received_at < situation.pools[part.receiver].fallback_after * situation.scale:
        return False
    return not candidates(part, situation)


def hopeless(receiver: str, situation: Situation) -> bool:
    """Whether every robot of a receiver waits for somebody to mend something, or for the next month."""
    return all(situation.robots[name].hopeless for name in situation.pools[receiver].robots)


def recalls(outgoing: Sequence[Outgoing], situation: Situation) -> list[int]:
    """Bundles to be taken back, because more came for their groups while they could not be sent: both are merged then."""
    return [
        part.bundle
        for part in outgoing
        if part.recallable and part.followed and (not is_due(part, situation) or not candidates(part, situation))
    ]


def gather(groups: Sequence[WaitingGroup], outgoing: Sequence[Outgoing], situation: Situation) -> Gathered:
    """Which of the waiting groups are told now."""
    budget = _Budget(situation)
    for part in _in_order(outgoing):
        if is_due(part, situation):
            budget.take(part.receiver, part.key, part.lane, part.left)
    unsaid = [group for group in groups if _only_repeats(group) and _step(group.receiver, situation) >= Degradation.NO_REPEATS]
    left_out = {(group.receiver, group.group_key) for group in unsaid}
    bundles: list[Bundle] = []
    for lane in Lane:
        by_receiver: dict[str, list[WaitingGroup]] = {}
        for group in sorted(groups, key=lambda group: (group.oldest, group.group_key)):
            if group.lane is lane and not group.busy and (group.receiver, group.group_key) not in left_out:
                by_receiver.setdefault(group.receiver, []).append(group)
        for receiver, waiting in by_receiver.items():
            told = _told(receiver, lane, waiting, budget, situation)
            for bundle in told:
                budget.take(receiver, bundle.groups[0].group_key, lane, _parts(bundle.groups, bundle.form))
            bundles += told
    return Gathered(bundles=tuple(bundles), unsaid=tuple(unsaid))


def _told(receiver: str, lane: Lane, waiting: Sequence[WaitingGroup], budget: _Budget, situation: Situation) -> list[Bundle]:
    pool = situation.pools[receiver]
    if not any(situation.robots[name].serves(lane) for name in pool.robots):
        return _without_robot(receiver, lane, waiting, situation)
    ready = [group for group in waiting if not _is_held(group, situation)]
    room = budget.room(receiver, lane)
    if not ready or room == 0:
        return []
    if lane is Lane.NORMAL and _step(receiver, situation) >= Degradation.DIGESTS:
        if situation.now - ready[0].oldest < DIGEST_EVERY * situation.scale:
            return []
        return [_digest(receiver, lane, ready, room)]
    alone = _alone(ready, room)
    bundles = [_bundle(receiver, lane, (group,)) for group in ready[:alone]]
    if alone < len(ready):
        bundles.append(_digest(receiver, lane, ready[alone:], room - alone))
    return bundles


def _without_robot(receiver: str, lane: Lane, waiting: Sequence[WaitingGroup], situation: Situation) -> list[Bundle]:
    """What has waited long enough for a robot is made ready for the fallback channels, or becomes a dead letter that can be seen."""
    pool = situation.pools[receiver]
    if situation.now - waiting[0].oldest < pool.fallback_after * situation.scale:
        return []
    return [_digest(receiver, lane, waiting, DIGEST_ALERTS)] if pool.fallback or hopeless(receiver, situation) else []


def _alone(groups: Sequence[WaitingGroup], room: int) -> int:
    """How many groups keep a message of their own, such that the digest of the others fits too."""
    if len(groups) <= room and sum(_parts((group,), _form((group,))) for group in groups) <= room:
        return len(groups)
    best, spent, left = 0, 0, sum(group.alerts for group in groups)
    for count, group in enumerate(groups[:room], start=1):
        spent += _parts((group,), _form((group,)))
        left -= group.alerts
        if spent + max(1, math.ceil(left / DIGEST_LINES)) <= room:
            best = count
    return best


def _digest(receiver: str, lane: Lane, groups: Sequence[WaitingGroup], room: int) -> Bundle:
    """As many groups as a digest takes, and one at least. What is critical stands in its first part, so a critical one may be long."""
    most = DIGEST_ALERTS if lane is Lane.CRITICAL else min(DIGEST_ALERTS, room * DIGEST_LINES)
    alerts = 0
    chosen: list[WaitingGroup] = []
    for group in groups:
        if chosen and alerts + group.alerts > most:
            break
        alerts += group.alerts
        chosen.append(group)
    return _bundle(receiver, lane, tuple(chosen))


def _bundle(receiver: str, lane: Lane, groups: tuple[WaitingGroup, ...]) -> Bundle:
    return Bundle(receiver=receiver, lane=lane, form=_form(groups), groups=groups)


def _form(groups: Sequence[WaitingGroup]) -> Form:
    return Form.GROUP if len(groups) == 1 and groups[0].alerts <= GROUP_ALERTS else Form.DIGEST


def _parts(groups: Sequence[WaitingGroup], form: Form) -> int:
    if form is Form.GROUP:
        return 1
    return max(1, math.ceil(sum(group.alerts for group in groups) / DIGEST_LINES))


def _only_repeats(group: WaitingGroup) -> bool:
    return group.repeats == group.receipts and not group.busy


def _is_held(group: WaitingGroup, situation: Situation) -> bool:
    hold = FLAP_HOLD_CRITICAL if group.lane is Lane.CRITICAL else FLAP_HOLD
    return group.recent >= FLAP_BUNDLES and situation.now - group.oldest < hold * situation.scale


def _step(receiver: str, situation: Situation) -> Degradation:
    """Of the robot of the pool that is least restrained."""
    robots = [situation.robots[name] for name in situation.pools[receiver].robots]
    return min((robot.step for robot in robots if robot.usable), default=Degradation.NONE)


@dataclass(slots=True)
class _Budget:
    """What room is left while a plan is made; robots may serve several receivers."""

    situation: Situation
    ordinary: dict[str, int] = field(init=False)
    critical: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.ordinary = {name: robot.room(Lane.NORMAL) for name, robot in self.situation.robots.items()}
        self.critical = {name: robot.room(Lane.CRITICAL) for name, robot in self.situation.robots.items()}

    def room(self, receiver: str, lane: Lane) -> int:
        left = self.critical if lane is Lane.CRITICAL else self.ordinary
        return sum(left[name] for name in self.situation.pools[receiver].robots)

    def take(self, receiver: str, key: str, lane: Lane, count: int) -> None:
        left = self.critical if lane is Lane.CRITICAL else self.ordinary
        for robot in self.situation.pool(receiver, key):
            used = min(count, left[robot.name])
            self.critical[robot.name] = max(0, self.critical[robot.name] - used)
            self.ordinary[robot.name] = max(0, self.ordinary[robot.name] - used)
            count -= used
