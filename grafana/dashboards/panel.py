"""Panels as all our dashboards show them: one look for tiles, one for curves, one for tables."""

from __future__ import annotations

from string import ascii_uppercase
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

from grafana.dashboards import palette

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grafana_foundation_sdk.builders import loki, prometheus
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.cog.variants import Dataquery
    from grafana_foundation_sdk.models.common import DataSourceRef

    Query = prometheus.Dataquery | loki.Dataquery

TILE_HEIGHT = 4
CURVE_HEIGHT = 8


def _lettered(queries: Sequence[Query]) -> list[Builder[Dataquery]]:
    """Grafana tells the queries of a panel apart by a letter."""
    return [query.ref_id(letter) for letter, query in zip(ascii_uppercase, queries, strict=False)]


def steps(base: str, *above: tuple[float, str]) -> ThresholdsConfig:
    """A colour, and others from certain values up."""
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(None, base), *(Threshold(value, color) for value, color in above)])
    )


def words(meaning: Mapping[float, tuple[str, str]]) -> ValueMap:
    """What to show instead of single values: text and colour."""
    return ValueMap(
        options={
            f"{value:g}": ValueMappingResult(text=text, color=color, index=index)
            for index, (value, (text, color)) in enumerate(meaning.items())
        }
    )


def words_of_text(colors: Mapping[str, str]) -> ValueMap:
    """Colours of single texts, which stay as they are."""
    return ValueMap(
        options={text: ValueMappingResult(text=text, color=color, index=index) for index, (text, color) in enumerate(colors.items())}
    )


def tile(
    title: str, description: str, source: DataSourceRef, queries: Sequence[Query], *, unit: str, thresholds: ThresholdsConfig
) -> stat.Panel:
    """One number to be read from across the room; its colour is the judgement."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(source)
        .height(TILE_HEIGHT)
        .unit(unit)
        .thresholds(thresholds)
        .color_mode(BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.VALUE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    )
    return panel.targets(_lettered(queries))


def curves(title: str, description: str, source: DataSourceRef, queries: Sequence[Query], *, unit: str) -> timeseries.Panel:
    """Lines over time. Gaps stay gaps: a missing point means that nothing was measured."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(source)
        .height(CURVE_HEIGHT)
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(8)
        .show_points(VisibilityMode.NEVER)
        .span_nulls(False)
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True))
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    return panel.targets(_lettered(queries))


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """Areas on top of each other: the upper edge is the total."""
    return panel.stacking(StackingConfig().mode(StackingMode.NORMAL).group("A")).fill_opacity(40).line_width(0)


def limit_line(panel: timeseries.Panel, value: float) -> timeseries.Panel:
    """A dashed line at a limit."""
    return panel.thresholds(steps("transparent", (value, palette.BAD))).thresholds_style(
        GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
    )


def rows(title: str, description: str, source: DataSourceRef, queries: Sequence[Query]) -> table.Panel:
    """A table."""
    return table.Panel().title(title).description(description).datasource(source).height(CURVE_HEIGHT).targets(_lettered(queries))


def color(value: str) -> DynamicConfigValue:
    """For an override: always this colour."""
    return DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": value})


def transformation(kind: str, options: object) -> DataTransformerConfig:
    """One step between a query's answer and the panel."""
    return DataTransformerConfig(id_val=kind, options=options)


def columns(names: Mapping[str, str]) -> list[DataTransformerConfig]:
    """Keep these columns, in this order, under these headings; what is not there is left out."""
    return [
        transformation("filterFieldsByName", {"include": {"names": list(names)}}),
        transformation(
            "organize",
            {
                "excludeByName": {},
                "indexByName": {name: index for index, name in enumerate(names)},
                "renameByName": {name: heading for name, heading in names.items() if heading != name},
            },
        ),
    ]
