"""What a drill sees of a stack and does to it: over HTTP as the simulator and Prometheus speak it, and through supervisord."""

from __future__ import annotations

import os
import signal
import time

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from cli.drill.stage import START_DEADLINE, STOP_DEADLINE, Clock, DrillBroken, DrillImpossible, Stage
from cli.stack.layout import Layout
from cli.stack.marked import SUPERVISOR
from cli.stack.state import State, write_state
from cli.stack.supervisor import Control
from dingtalk.simulator.app import create_app
from dingtalk.simulator.settings import Settings
from service.drill_faults import FILE, FaultFile, Faults
from tests.cli.drill.world import SCALE, World
from tests.cli.stack.sites import process
from tests.cli.stack.supervised import Box

REAL = Clock(unix=time.time, monotonic=time.monotonic, pause=time.sleep)
DRILLED = ("simulator", "watcher", "notifier", "prometheus", "alertmanager", "service")
ROBOTS = [{"name": name, "token": name, "group": name} for name in ("critical", "warning")]


class Prometheus:
    """Its answers, as its own documentation has them; what was asked is kept."""

    def __init__(self):
        self.alerts = []
        self.series = []
        self.asked = []
        self.status = 200

    def app(self):
        async def query(request):
            self.asked.append(request.query_params["query"])
            answer = {"status": "success", "data": {"resultType": "matrix", "result": self.series}}
            return JSONResponse(answer, status_code=self.status)

        async def firing(_request):
            return JSONResponse({"status": "success", "data": {"alerts": self.alerts}}, status_code=self.status)

        return Starlette(routes=[Route("/api/v1/query", query), Route("/api/v1/alerts", firing)])


class Servers:
    """A stage before a real simulator, and servers that a test fills."""

    def __init__(self, folder, serve_app, http):
        self.prometheus = Prometheus()
        self.metrics = ""
        self.http = http
        self.layout = Layout(folder)

        async def metrics(_request):
            return PlainTextResponse(self.metrics)

        self.urls = {
            "simulator": serve_app(create_app(Settings.of({"scale": 0.05, "robots": ROBOTS, "limit": 1000}))),
            "prometheus": serve_app(self.prometheus.app()),
            "service": serve_app(Starlette(routes=[Route("/metrics", metrics)])),
            "loki": "http://127.0.0.1:9",
        }
        self.stage = self.staged()

    def staged(self, **urls):
        processes = [process(name, address=url) for name, url in (self.urls | urls).items()]
        return Stage(self.layout, processes, Control(socket="/nowhere/sock", password=""), http=self.http, clock=REAL)

    def send(self, text, robot="critical"):
        """What the simulator answers to a call of the robot."""
        body = {"msgtype": "text", "text": {"content": f"{text} @13800000001"}, "at": {"atMobiles": ["13800000001"]}}
        return self.http.post(f"{self.urls['simulator']}/robot/send?access_token={robot}", json=body)


@pytest.fixture
def servers(tmp_path, serve_app):
    with httpx.Client(trust_env=False) as http:
        yield Servers(tmp_path, serve_app, http)


class TestSeeing:
    """Over real HTTP."""

    def test_its_minutes_are_those_of_the_simulator(self, servers):
        """A span of the rules is so much shorter."""
        assert servers.stage.scale == 0.05
        assert servers.stage.scaled(300.0) == 15.0

    def test_it_knows_what_runs_and_where(self, servers):
        """In the order in which it was started."""
        stage = servers.stage
        assert stage.names() == ("simulator", "prometheus", "service", "loki")
        assert (stage.has("loki"), stage.has("jaeger")) == (True, False)
        assert stage.url("prometheus") == servers.urls["prometheus"]

    def test_it_reads_what_the_groups_saw_since_a_message(self, servers):
        """By which robot, when, who was called, whole, the oldest first."""
        assert servers.stage.newest_message() == 0
        servers.send("一")
        since = servers.stage.newest_message()
        begun = time.time()
        servers.send("二", "warning")
        servers.send("三")
        found = servers.stage.messages(since)
        assert since == 1
        assert [(each["index"], each["robot"], each["text"].split()[0], each["at"]["mobiles"]) for each in found] == [
            (2, "warning", "二", ["13800000001"]),
            (3, "critical", "三", ["13800000001"]),
        ]
        assert begun - 1 < found[0]["received_seconds"] <= found[1]["received_seconds"] < begun + 20
        assert servers.stage.messages(3) == []

    def test_it_reads_as_many_messages_as_there_are(self, servers):
        """The simulator gives a part of them at a time."""
        for number in range(230):
            servers.send(f"n{number}")
        assert [each["index"] for each in servers.stage.messages(20)] == list(range(21, 231))

    def test_it_has_dingtalk_refuse_a_robot(self, servers):
        """That one; one that there is not is an error."""
        servers.stage.ban("critical")
        assert servers.send("x").status_code == 302
        assert servers.send("x", "warning").json()["errcode"] == 0
        with pytest.raises(DrillBroken, match="the simulator answers 404 to a ban"):
            servers.stage.ban("nobody")

    def test_it_sees_what_fires_and_not_what_is_pending(self, servers):
        """By name."""
        servers.prometheus.alerts = [
            {"labels": {"alertname": "HighLatency"}, "state": "firing"},
            {"labels": {"alertname": "HighLatency", "instance": "b"}, "state": "firing"},
            {"labels": {"alertname": "ErrorLogs"}, "state": "pending"},
        ]
        assert servers.stage.firing() == {"HighLatency"}

    def test_it_reads_raw_samples_with_their_moments(self, servers):
        """Of the last so many milliseconds, and never of none, which Prometheus refuses."""
        servers.prometheus.series = [{"metric": {"alertstate": "firing"}, "values": [[1770000000.25, "1"], [1770000000.75, "1"]]}]
        assert servers.stage.samples("ALERTS", 12.3456) == [({"alertstate": "firing"}, [1770000000.25, 1770000000.75])]
        servers.stage.samples("ALERTS", 0.0)
        assert servers.prometheus.asked == ["ALERTS[12346ms]", "ALERTS[1ms]"]

    @pytest.mark.parametrize("status", [503, 422])
    def test_while_prometheus_is_away_nothing_is_seen(self, servers, status):
        """It may be what is drilled: starting, or gone."""
        servers.prometheus.alerts = [{"labels": {"alertname": "HighLatency"}, "state": "firing"}]
        servers.prometheus.status = status
        assert servers.stage.firing() == set()
        assert servers.stage.samples("ALERTS", 60) == []
        gone = servers.staged(prometheus="http://127.0.0.1:9")
        assert gone.firing() == set()
        assert gone.samples("ALERTS", 60) == []

    def test_it_reads_how_many_wait_in_the_service(self, servers):
        """Over all series; none while it does not answer."""
        servers.metrics = "# TYPE mgeo_queue_depth gauge\nmgeo_queue_depth 301.0\nmgeo_queue_wait_seconds_sum 9.0\n"
        assert servers.stage.queue_depth() == 301.0
        servers.metrics = 'mgeo_queue_depth{a="1"} 1\nmgeo_queue_depth{a="2"} 2\n'
        assert servers.stage.queue_depth() == 3.0
        assert servers.staged(service="http://127.0.0.1:9").queue_depth() == 0.0

    def test_without_the_simulator_nothing_can_be_drilled(self, servers):
        """It says who does not answer."""
        with pytest.raises(DrillBroken, match=r"^simulator does not answer /control/state \(ConnectError\)$"):
            servers.staged(simulator="http://127.0.0.1:9")

    def test_its_faults_are_those_that_the_service_reads(self, servers, tmp_path):
        """In the data folder of the stack."""
        servers.stage.faults.write(Faults(fail_every=1), seconds=60)
        assert FaultFile(tmp_path / FILE, clock=time.time).read() == Faults(fail_every=1)


class TestCreation:
    """A stack that is up, or is not, or may not be drilled."""

    def of(self, layout, *names):
        layout.prepare()
        if names:
            processes = tuple(process(name, address=f"http://{name}.test") for name in names)
            write_state(layout, State(profile="full", socket="/nowhere/sock", password="p", processes=processes))
        answer = httpx.MockTransport(lambda _request: httpx.Response(200, json={"scale": 0.1, "last_message": 0}))
        with httpx.Client(transport=answer) as http:
            return Stage.of(layout, http=http, clock=REAL)

    def test_a_stack_with_a_watcher_may_be_drilled(self, tmp_path):
        """In whatever profile."""
        stage = self.of(Layout(tmp_path), *DRILLED)
        assert (stage.names(), stage.scale) == (DRILLED, 0.1)

    def test_without_a_stack_it_says_how_to_bring_one_up(self, tmp_path):
        """Or to have one of the drill's own."""
        with pytest.raises(
            DrillImpossible, match=r"no stack is up in .*; bring one up .*`mgeo up --profile full --drills on`, or add --apart"
        ):
            self.of(Layout(tmp_path))

    @pytest.mark.parametrize(
        ("lacks", "named"),
        [
            (("watcher",), "watcher"),
            (("watcher", "simulator"), "simulator, watcher"),
            (("notifier", "alertmanager", "prometheus", "watcher", "simulator"), "alertmanager, notifier, prometheus, simulator, watcher"),
        ],
    )
    def test_a_stack_that_tells_real_people_or_nobody_may_not_be_drilled(self, tmp_path, lacks, named):
        """One without drills, one with robots of its own, an agent; it names what is missing and how to have it."""
        with pytest.raises(
            DrillImpossible, match=rf"may not be drilled, for it runs without {named}; bring it up with `mgeo up --drills on`"
        ):
            self.of(Layout(tmp_path), *(name for name in DRILLED if name not in lacks))


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "data")
    yield world
    world.http.close()


class TestTime:
    """On a clock that its pauses move on."""

    def test_a_wait_is_as_long_as_it_should_and_does_something_meanwhile(self, world):
        """Five times a second; the last pause is what is left."""
        done = []
        world.stage().wait(1.1, lambda: done.append(world.elapsed))
        assert world.elapsed == pytest.approx(1.1)
        assert done == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
        world.stage().wait(0.0)
        assert world.elapsed == pytest.approx(1.1)

    def test_a_condition_that_holds_is_not_waited_for(self, world):
        """And nothing is done meanwhile."""
        done = []
        assert world.stage().until(lambda: True, 10.0, lambda: done.append(1))
        assert (done, world.pauses) == ([], [])

    def test_a_condition_that_comes_to_hold_ends_the_wait(self, world):
        """At the next look."""
        assert world.stage().until(lambda: world.elapsed >= 3.05, 10.0)
        assert world.elapsed == pytest.approx(3.2)

    def test_a_condition_that_does_not_hold_is_given_up_at_the_deadline(self, world):
        """After one last look."""
        looked = []
        assert not world.stage().until(lambda: looked.append(world.elapsed), 1.0)
        assert looked[-1] == pytest.approx(1.0, abs=0.21)
        assert world.elapsed < 1.3


class TestDeeds:
    """With a supervisord that does what it is told, or does not."""

    def test_stopping_and_starting_take_no_longer_than_needed(self, world):
        """What is stopped already is left so, what runs too."""
        stage = world.stage()
        stage.stop("loki")
        assert (world.supervisor.states["loki"], set(world.supervisor.deeds)) == ("STOPPED", {"stop loki"})
        world.supervisor.deeds.clear()
        stage.stop("loki")
        assert world.supervisor.deeds == []
        stage.start("loki")
        stage.start("loki")
        assert (world.supervisor.states["loki"], world.supervisor.deeds) == ("RUNNING", ["start loki"])
        assert world.elapsed < 1.0

    def test_several_are_started_before_any_is_waited_for(self, world):
        """As a box that boots."""
        stage = world.stage()
        stage.kill("loki", "prometheus", "auditor")
        assert [name for name, state in world.supervisor.states.items() if state == "STOPPED"] == ["prometheus", "loki", "auditor"]
        stage.start("auditor", "loki", "prometheus")
        assert world.supervisor.deeds[-3:] == ["start auditor", "start loki", "start prometheus"]
        assert set(world.supervisor.states.values()) == {"RUNNING"}

    def test_one_that_is_still_about_to_stop_is_started_when_it_has(self, world):
        """As when a drill is interrupted while Loki ends in good order: it must not stay away."""
        world.supervisor.states["loki"] = "STOPPING"
        world.supervisor.slow.add("loki")
        world.on_pause = lambda: world.supervisor.slow.discard("loki") if world.elapsed > 5 else None
        world.stage().start("loki")
        assert world.supervisor.states["loki"] == "RUNNING"
        assert world.elapsed == pytest.approx(5.4, abs=0.5)

    def test_one_that_does_not_stop_is_an_error_after_a_while(self, world):
        """Which says what to look at."""
        world.supervisor.slow.add("loki")
        with pytest.raises(DrillBroken, match=r"^loki does not stay away within 60 s; `mgeo status` tells more$"):
            world.stage().stop("loki")
        assert world.elapsed == pytest.approx(STOP_DEADLINE, abs=0.5)

    def test_one_that_does_not_start_is_an_error_after_a_while(self, world):
        """As one whose program is gone: supervisord refuses."""
        world.supervisor.states["loki"] = "BACKOFF"
        with pytest.raises(DrillBroken, match=r"^loki does not become ready within 240 s; `mgeo status` tells more$"):
            world.stage().start("loki")
        assert world.elapsed == pytest.approx(START_DEADLINE, abs=0.5)

    def test_a_supervisord_that_refuses_to_start_one_is_asked_again(self, world):
        """It may have been busy."""
        world.supervisor.states["loki"] = "STOPPED"
        true, refused = world.supervisor.start, []

        def start(name):
            if not refused:
                refused.append(name)
                world.supervisor.states[name] = "BACKOFF"
                true(name)
            true(name)

        world.supervisor.start = start
        world.on_pause = lambda: world.supervisor.states.update(loki="STOPPED") if world.supervisor.states["loki"] == "BACKOFF" else None
        world.stage().start("loki")
        assert refused == ["loki"]
        assert world.supervisor.states["loki"] == "RUNNING"

    @pytest.mark.parametrize("deed", ["kill", "stop", "start"])
    def test_without_supervisord_nothing_can_be_done(self, world, deed):
        """It says so at once."""
        world.supervisor.gone = True
        with pytest.raises(DrillBroken, match=r"^supervisord does not answer \(no such file\)$"):
            getattr(world.stage(), deed)("loki")
        assert world.pauses == []


@pytest.fixture
def box(tmp_path):
    (tmp_path / "data").mkdir()
    box = Box(tmp_path / "data")
    yield box
    box.kill(SUPERVISOR)
    box.end()
    assert box.running() == []


def staged(box, *processes):
    """A stage on a real supervisord with these processes."""
    state = box.start(*processes)
    answer = httpx.MockTransport(lambda _request: httpx.Response(200, json={"scale": SCALE, "last_message": 0}))
    simulator = process("simulator", address="http://simulator.test")
    control = Control(socket=state.socket, password=state.password)
    return Stage(box.layout, [*state.processes, simulator], control, http=httpx.Client(transport=answer), clock=REAL)


@pytest.mark.slow
@pytest.mark.timeout(120)
class TestRealProcesses:
    """Under a real supervisord, which starts what dies again, unless it is told not to."""

    def test_what_is_killed_stays_away_and_comes_back_when_it_is_started(self, box):
        """Two at once, with -9, so that neither can say good-bye; ready again means that they answer."""
        stage = staged(box, box.process("prometheus"), box.process("notifier"), box.process("service"))
        before = {name: box.pids(name) for name in ("prometheus", "notifier", "service")}
        stage.kill("prometheus", "notifier")
        assert box.running() == ["service", "supervisord"]
        stage.start("prometheus", "notifier")
        assert box.running() == ["notifier", "prometheus", "service", "supervisord"]
        assert box.pids("service") == before["service"]
        assert not {*box.pids("prometheus"), *box.pids("notifier")} & {*before["prometheus"], *before["notifier"]}
        # Started again by hand, it is kept alive as before.
        os.kill(box.pids("notifier")[0], signal.SIGKILL)
        assert stage.until(lambda: len(box.pids("notifier")) == 1, 20.0)

    def test_what_is_stopped_ends_in_good_order_and_is_back_even_if_nobody_waited_for_its_end(self, box):
        """It takes a second to end; who starts it meanwhile gets a new one, and not the old one's last answer."""
        stage = staged(box, box.process("loki", "ends late"))
        (before,) = box.pids("loki")
        stage.stop("loki")
        assert box.pids("loki") == []
        stage.start("loki")
        (second,) = box.pids("loki")

        def interrupted(_seconds):
            raise KeyboardInterrupt

        impatient = Stage(
            box.layout,
            list(stage._processes.values()),
            stage._control,
            http=stage._http,
            clock=Clock(unix=time.time, monotonic=time.monotonic, pause=interrupted),
        )
        with pytest.raises(KeyboardInterrupt):
            impatient.stop("loki")
        stage.start("loki")
        (third,) = box.pids("loki")
        assert len({before, second, third}) == 3
