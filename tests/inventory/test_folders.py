"""The folders and stores that the service watches, compared with where `mgeo up` has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.stack.layout import Layout
from cli.stack.plan import plan
from cli.stack.profile import Profile
from service.settings import LookupSettings
from service.surroundings.folders import FOLDERS
from service.surroundings.store_clocks import _PATHS
from service.telemetry import names
from tests.cli.stack.sites import site

DATA = Path("/data")
PROCESSES = {process.name: process for process in plan(site(Profile.FULL, gateway=True, grafana=True, data_dir=DATA))}
STORES = ("collector", "prometheus", "loki", "jaeger", "alertmanager")


def test_the_names_are_the_closed_set_of_the_label() -> None:
    """And the service's own comes first."""
    assert tuple(FOLDERS) == names.FOLDERS
    assert DATA / FOLDERS["data"] == Layout(DATA).data_dir
    assert set(names.FOLDERS) == {"data", *STORES, "notifier"}


@pytest.mark.parametrize("name", STORES)
def test_a_program_keeps_its_data_where_the_service_looks(name: str) -> None:
    """By its own arguments and variables; nothing of `cli` may be imported by the service, so the table stands there again."""
    watched = DATA / FOLDERS[name]
    told = [*PROCESSES[name].argv, *PROCESSES[name].environment.values()]

    assert watched.is_relative_to(Layout(DATA).store(name))
    assert [text for text in told if text.partition("=")[2] == str(watched) or text == str(watched)] != []


def test_the_notifier_is_to_keep_its_data_beside_them() -> None:
    """By the same rule."""
    assert DATA / FOLDERS["notifier"] == Layout(DATA).store("notifier")


def test_every_store_with_an_address_is_asked_for_its_time() -> None:
    """By the settings of the look-up."""
    addresses = {name.removesuffix("_url") for name in LookupSettings.model_fields if name.endswith("_url")}

    assert set(names.STORES) == set(_PATHS) == addresses - {"grafana"}
