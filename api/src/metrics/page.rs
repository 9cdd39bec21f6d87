//! The page that a scrape gets: metric by metric, in the order in which they are written.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use raft::measure::Distribution;

/// What takes the metrics of one scrape.
pub struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl<'a> Page<'a> {
    /// An empty page.
    pub fn new(encoder: DescriptorEncoder<'a>) -> Page<'a> {
        Page { encoder }
    }

    /// A value that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.metric(name, help, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// The same, for each of some labels.
    pub fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut metric = self.metric(name, help, MetricType::Gauge)?;
        rows.into_iter().try_for_each(|(labels, value)| metric.encode_family(&labels)?.encode_gauge(&value))
    }

    /// A value that only grows as long as the process lives. The name is told without its `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: impl EncodeCounterValue) -> fmt::Result {
        let mut metric = self.metric(name, help, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    /// The same, for each of some labels.
    pub fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut metric = self.metric(name, help, MetricType::Counter)?;
        rows.into_iter().try_for_each(|(labels, value)| {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
        })
    }

    /// How often values fell between bounds. The unit is so many of those that were counted in.
    pub fn histogram(&mut self, name: &str, help: &str, unit: f64, values: &Distribution) -> fmt::Result {
        distribution(&mut self.metric(name, help, MetricType::Histogram)?, unit, values)
    }

    /// The same, for each of some labels.
    pub fn histograms<'v, L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: f64,
        rows: impl IntoIterator<Item = (L, &'v Distribution)>,
    ) -> fmt::Result {
        let mut metric = self.metric(name, help, MetricType::Histogram)?;
        rows.into_iter()
            .try_for_each(|(labels, values)| distribution(&mut metric.encode_family(&labels)?, unit, values))
    }

    /// A name, and the labels that say it all.
    pub fn info(&mut self, name: &str, help: &str, labels: &impl EncodeLabelSet) -> fmt::Result {
        self.metric(name, help, MetricType::Info)?.encode_info(labels)
    }

    fn metric<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.encoder.encode_descriptor(name, help, None, kind)
    }
}

fn distribution(metric: &mut MetricEncoder<'_>, unit: f64, values: &Distribution) -> fmt::Result {
    let bounds = values.bounds.iter().map(|bound| *bound as f64 / unit).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(values.counts.iter().copied()).collect();
    metric.encode_histogram::<NoLabelSet>(values.sum as f64 / unit, values.count(), &buckets, None)
}
