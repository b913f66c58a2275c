// Package crds holds no code. Its module pins the Prometheus Operator, whose repository
// has the definitions of ServiceMonitor and PrometheusRule that deploy/check validates
// the chart's against. The import keeps it in go.mod: a small package of it, which is
// not built.
package crds

import _ "github.com/prometheus-operator/prometheus-operator/pkg/versionutil"
