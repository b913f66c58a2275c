package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// What the tests read of Kubernetes' objects. deploy/check holds the objects
// against the schemas of Kubernetes.
type (
	object struct {
		Kind     string
		Metadata struct {
			Name   string
			Labels map[string]string
		}
		Spec       yaml.Node
		StringData map[string]string `yaml:"stringData"`
		Data       map[string]string
	}

	workload struct {
		Replicas int
		Strategy struct {
			Type          string
			RollingUpdate struct {
				MaxSurge       *int `yaml:"maxSurge"`
				MaxUnavailable *int `yaml:"maxUnavailable"`
			} `yaml:"rollingUpdate"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     podSpec
		}
	}

	podSpec struct {
		AutomountToken     *bool           `yaml:"automountServiceAccountToken"`
		EnableServiceLinks *bool           `yaml:"enableServiceLinks"`
		GraceSeconds       int             `yaml:"terminationGracePeriodSeconds"`
		HostNetwork        bool            `yaml:"hostNetwork"`
		HostPID            bool            `yaml:"hostPID"`
		HostIPC            bool            `yaml:"hostIPC"`
		SecurityContext    securityContext `yaml:"securityContext"`
		InitContainers     []container     `yaml:"initContainers"`
		Containers         []container
		Volumes            []map[string]yaml.Node
	}

	container struct {
		Name            string
		Command, Args   []string
		Env             []variable
		Ports           []port
		SecurityContext securityContext `yaml:"securityContext"`
		StartupProbe    probe           `yaml:"startupProbe"`
		LivenessProbe   probe           `yaml:"livenessProbe"`
		ReadinessProbe  probe           `yaml:"readinessProbe"`
		VolumeMounts    []mount         `yaml:"volumeMounts"`
	}

	port struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
		HostPort      int `yaml:"hostPort"`
	}

	mount struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	}

	variable struct {
		Name, Value string
		ValueFrom   struct {
			SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
		} `yaml:"valueFrom"`
	}

	probe struct {
		HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
	}

	securityContext struct {
		RunAsNonRoot             *bool  `yaml:"runAsNonRoot"`
		RunAsUser                int    `yaml:"runAsUser"`
		RunAsGroup               int    `yaml:"runAsGroup"`
		FSGroup                  int    `yaml:"fsGroup"`
		Privileged               bool   `yaml:"privileged"`
		AllowPrivilegeEscalation *bool  `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   *bool  `yaml:"readOnlyRootFilesystem"`
		ProcMount                string `yaml:"procMount"`
		Capabilities             struct{ Add, Drop []string }
		SeccompProfile           struct{ Type string } `yaml:"seccompProfile"`
		Sysctls                  []any
	}
)

// objects reads what Helm rendered.
func objects(t *testing.T, rendered []byte) []object {
	t.Helper()
	var all []object
	for read := yaml.NewDecoder(bytes.NewReader(rendered)); ; {
		var o object
		err := read.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, o)
	}
}

// find is the object of a kind whose name ends in suffix.
func find(t *testing.T, all []object, kind, suffix string) object {
	t.Helper()
	i := slices.IndexFunc(all, func(o object) bool { return o.Kind == kind && strings.HasSuffix(o.Metadata.Name, suffix) })
	require.GreaterOrEqual(t, i, 0, "there should be a %s …%s", kind, suffix)
	return all[i]
}

// helm renders the chart as release "bot" with values, or skips the test where
// there is no Helm.
func helm(t *testing.T, values map[string]any) []object {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "bin", "helm"))
	require.NoError(t, err)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			require.NoError(t, err, "this test needs Helm")
		}
		t.Skip("there is no bin/helm to render the chart with: go build -C tools/helm -buildvcs=false -o \"$PWD/bin/\" tool")
	}
	dir := t.TempDir()
	text, err := json.Marshal(values)
	require.NoError(t, err)
	file := filepath.Join(dir, "values.yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	cmd := exec.CommandContext(t.Context(), path, "template", "bot", "helm", "--kube-version", "1.30", "-f", file) //nolint:gosec // our own
	cmd.Env = []string{"HOME=" + dir}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	rendered, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return objects(t, rendered)
}

// golden are the renders that deploy/check holds the chart to.
func golden(t *testing.T) map[string][]object {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("helm", "testdata", "*.yaml"))
	require.NoError(t, err)
	renders := map[string][]object{}
	for _, path := range paths {
		if strings.HasSuffix(path, ".values.yaml") {
			continue
		}
		text, err := os.ReadFile(path) //nolint:gosec // of this repository
		require.NoError(t, err)
		renders[strings.TrimSuffix(filepath.Base(path), ".yaml")] = objects(t, text)
	}
	require.NotEmpty(t, renders)
	return renders
}

// podOf is the pod that an object makes, if it makes any.
func podOf(t *testing.T, o object) (pod podSpec, labels map[string]string, ok bool) {
	t.Helper()
	switch o.Kind {
	case "Pod":
		require.NoError(t, o.Spec.Decode(&pod))
		return pod, o.Metadata.Labels, true
	case "Deployment", "StatefulSet":
		var w workload
		require.NoError(t, o.Spec.Decode(&w))
		return w.Template.Spec, w.Template.Metadata.Labels, true
	default:
		return podSpec{}, nil, false
	}
}

// What the level "restricted" of the Pod Security Standards asks, one by one, and
// what we ask beyond it.
func TestPodSecurity(t *testing.T) {
	t.Parallel()
	for name, all := range golden(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pods := 0
			for _, o := range all {
				pod, _, ok := podOf(t, o)
				if !ok {
					continue
				}
				pods++
				assertRestricted(t, o.Kind+" "+o.Metadata.Name, pod)
			}
			assert.GreaterOrEqual(t, pods, 2, "the bot and its check")
		})
	}
}

// volumesAllowed are the kinds of volumes that "restricted" allows.
var volumesAllowed = []string{"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}

func assertRestricted(t *testing.T, what string, pod podSpec) {
	t.Helper()
	is := func(want bool, got *bool, field string) {
		assert.True(t, got != nil && *got == want, "%s: %s should be %v", what, field, want)
	}
	assert.False(t, pod.HostNetwork || pod.HostPID || pod.HostIPC, "%s: no namespace of the host", what)
	for _, volume := range pod.Volumes {
		for kind := range volume {
			assert.True(t, kind == "name" || slices.Contains(volumesAllowed, kind), "%s: no %s volume", what, kind)
		}
	}
	context := pod.SecurityContext
	is(true, context.RunAsNonRoot, "runAsNonRoot")
	assert.Equal(t, "RuntimeDefault", context.SeccompProfile.Type, what)
	assert.Empty(t, context.Sysctls, what)
	// Beyond it.
	assert.Equal(t, []int{65532, 65532, 65532}, []int{context.RunAsUser, context.RunAsGroup, context.FSGroup}, what)
	is(false, pod.AutomountToken, "automountServiceAccountToken")
	is(false, pod.EnableServiceLinks, "enableServiceLinks")

	all := slices.Concat(pod.InitContainers, pod.Containers)
	require.NotEmpty(t, all, what)
	for i := range all {
		c := &all[i]
		at := what + ", container " + c.Name
		is(false, c.SecurityContext.AllowPrivilegeEscalation, "allowPrivilegeEscalation of "+c.Name)
		is(true, c.SecurityContext.ReadOnlyRootFilesystem, "readOnlyRootFilesystem of "+c.Name) // beyond it
		assert.Equal(t, []string{"ALL"}, c.SecurityContext.Capabilities.Drop, at)
		assert.Empty(t, c.SecurityContext.Capabilities.Add, at)
		assert.False(t, c.SecurityContext.Privileged, at)
		assert.Contains(t, []string{"", "Default"}, c.SecurityContext.ProcMount, at)
		assert.Contains(t, []int{0, 65532}, c.SecurityContext.RunAsUser, at)
		for _, p := range c.Ports {
			assert.Zero(t, p.HostPort, at)
		}
	}
}

// An update tells an old replica to end and then begins a new one. Until the old one
// has ended both may count, and one that renews its connections meanwhile: Slack has
// to allow all of them.
func TestAnUpdateTellsAnOldReplicaToEndFirst(t *testing.T) {
	t.Parallel()
	for name, all := range golden(t) {
		var w workload
		deployment := find(t, all, "Deployment", "")
		require.NoError(t, deployment.Spec.Decode(&w))
		assert.Equal(t, "RollingUpdate", w.Strategy.Type, name)
		if assert.NotNil(t, w.Strategy.RollingUpdate.MaxSurge, name) && assert.NotNil(t, w.Strategy.RollingUpdate.MaxUnavailable, name) {
			assert.Zero(t, *w.Strategy.RollingUpdate.MaxSurge, name)
			assert.Equal(t, 1, *w.Strategy.RollingUpdate.MaxUnavailable, name)
		}
		env := w.Template.Spec.Containers[0].Env
		i := slices.IndexFunc(env, func(v variable) bool { return v.Name == "SLACK_CONNECTIONS" })
		require.GreaterOrEqual(t, i, 0, name)
		connections, err := strconv.Atoi(env[i].Value)
		require.NoError(t, err, name)
		assert.LessOrEqual(t, (w.Replicas+min(w.Replicas, 2))*connections, 10, name)
	}
}

// Selectors that miss, or catch too much, are told by nobody: the Service has no
// endpoints, the policy protects nothing.
func TestSelectors(t *testing.T) {
	t.Parallel()
	type selector struct {
		MatchLabels      map[string]string `yaml:"matchLabels"`
		MatchExpressions []struct {
			Key, Operator string
			Values        []string
		} `yaml:"matchExpressions"`
	}
	selects := func(s selector, labels map[string]string) bool {
		for key, value := range s.MatchLabels {
			if labels[key] != value {
				return false
			}
		}
		for _, e := range s.MatchExpressions {
			if e.Operator != "In" || !slices.Contains(e.Values, labels[e.Key]) {
				return false
			}
		}
		return true
	}
	const component = "app.kubernetes.io/component"
	for name, all := range golden(t) {
		for _, o := range all {
			var spec struct {
				Selector    yaml.Node
				PodSelector *selector `yaml:"podSelector"`
			}
			require.NoError(t, o.Spec.Decode(&spec))
			var s selector
			want := []string{o.Metadata.Labels[component]}
			switch o.Kind {
			case "Deployment", "StatefulSet", "PodDisruptionBudget":
				require.NoError(t, spec.Selector.Decode(&s))
			case "Service":
				require.NoError(t, spec.Selector.Decode(&s.MatchLabels))
			case "NetworkPolicy":
				require.NotNil(t, spec.PodSelector)
				if s = *spec.PodSelector; want[0] == "bot" {
					want = append(want, "check")
				}
			default:
				continue
			}
			var got []string
			for _, other := range all {
				if _, labels, ok := podOf(t, other); ok && selects(s, labels) {
					got = append(got, labels[component])
				}
			}
			assert.ElementsMatch(t, want, got, "%s: what %s %s selects", name, o.Kind, o.Metadata.Name)
		}
	}
}
