"""The data sources that `grafana/provisioning/datasources` sets up, by their fixed uids."""

from __future__ import annotations

from grafana_foundation_sdk.models.common import DataSourceRef

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
LOKI = DataSourceRef(type_val="loki", uid="loki")
