// What Grafana's published schema says a dashboard is, for the kinds of panels that ours has.
import type * as schema from '@grafana/schema';
import type * as heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as stateTimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeSeries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
// Later versions have it in a package with the whole query editor.
import type * as prometheus from 'grafana-10/dist/esm/raw/composable/prometheus/dataquery/x/PrometheusDataQuery_types.gen';

type IsAny<T> = 0 extends 1 & T ? true : false;

/** As JSON has it: the text of an enumeration's member in the place of the member. */
type Json<T> =
  IsAny<T> extends true
    ? T
    : T extends string
      ? `${T}`
      : T extends number | boolean | null | undefined
        ? T
        : T extends (infer U)[]
          ? Json<U>[]
          : T extends object
            ? { [K in keyof T]: Json<T[K]> }
            : T;

/** Panels take defaults for what isn't said. */
type Defaulted<T> = T extends (infer U)[]
  ? Defaulted<U>[]
  : T extends object
    ? { [K in keyof T]?: Defaulted<T[K]> }
    : T;

type Panel<Kind extends string, Options, Custom = never> = Json<
  Omit<schema.Panel, 'type' | 'datasource' | 'targets' | 'options' | 'fieldConfig'>
> & {
  type: Kind;
  datasource: { type: 'prometheus'; uid: string };
  targets: Json<prometheus.PrometheusDataQuery>[];
  options: Defaulted<Json<Options>>;
  fieldConfig: Json<Omit<schema.FieldConfigSource, 'defaults'>> & {
    defaults: Json<Omit<schema.FieldConfig, 'custom'>> & { custom?: Defaulted<Json<Custom>> };
  };
};

type Shown =
  | Json<schema.RowPanel>
  | Panel<'heatmap', heatmap.Options, heatmap.FieldConfig>
  | Panel<'stat', stat.Options>
  | Panel<'state-timeline', stateTimeline.Options, stateTimeline.FieldConfig>
  | Panel<'table', table.Options>
  | Panel<'timeseries', timeSeries.Options, timeSeries.FieldConfig>;

export type Dashboard = Json<Omit<schema.Dashboard, 'panels'>> & { panels: Shown[] };
