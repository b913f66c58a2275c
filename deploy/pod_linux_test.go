package deploy_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/atlassim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/redisd"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox/slacksim"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

// patience is how long a test waits for what should happen at once.
const patience = 30 * time.Second

// secrets are the Secrets of a namespace: name, key, value.
type secrets map[string]map[string]string

// A namespace is what a pod may refer to.
type namespace struct {
	secrets    secrets
	configMaps map[string]map[string]string
}

// far is what the bot talks to.
type far struct {
	slack  *slacksim.Server
	atlas  *atlassim.Server
	keyset string
}

func newFar(t *testing.T) *far {
	t.Helper()
	slack, err := slacksim.New(slacksim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.Empty(t, slack.Violations(), "the bot broke a rule of Slack's")
		_ = slack.Close()
	})
	atlas, err := atlassim.New(atlassim.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = atlas.Close() })
	require.NoError(t, atlassim.DefaultWorld(atlas))
	keyset, err := secret.NewKeyset()
	require.NoError(t, err)
	return &far{slack, atlas, keyset.Reveal()}
}

// config is what every values file of these tests says.
func (f *far) config(more map[string]any) map[string]any {
	config := map[string]any{
		"SLACK_APPROVALS_CHANNEL": "C0APPROVAL", "SLACK_APPROVERS": []string{"U0APPROVER", "U0APPROV2"},
		"SLACK_API_URL": f.slack.APIURL(), "MONGODB_ATLAS_BASE_URL": f.atlas.URL(),
	}
	maps.Copy(config, more)
	return config
}

// The chart's pod, as a process: the container's environment and no other, its
// files and no others, its user, in a root that it cannot write to.
func TestThePodWorks(t *testing.T) {
	t.Parallel()
	t.Run("a Secret of one's own", func(t *testing.T) {
		t.Parallel()
		f, redis := newFar(t), redisd.New(t, "--appendonly", "yes")
		mine := secrets{"mine": {
			"SLACK_APP_TOKEN": f.slack.AppToken(), "SLACK_BOT_TOKEN": f.slack.BotToken(), "SEALING_KEYSET": f.keyset,
			"MONGODB_ATLAS_CLIENT_SECRET": f.atlas.ClientSecret(), "REDIS_URL": redis.URL,
		}}
		try(t, f, map[string]any{
			"config":  f.config(map[string]any{"MONGODB_ATLAS_CLIENT_ID": f.atlas.ClientID()}),
			"secrets": map[string]any{"existing": "mine"},
		}, mine, func(replica *process) {
			// A rotation, without a restart: the Secret changes, and with it what is mounted.
			rotate := exec.CommandContext(t.Context(), bot(t), "keyset", "rotate") //nolint:gosec // our own bot
			rotate.Env = []string{"SEALING_KEYSET=" + f.keyset}
			rotated, err := rotate.Output()
			require.NoError(t, err)
			mine["mine"]["SEALING_KEYSET"] = string(rotated)
			replica.remount(t, mine)
			replica.said.wait(t, `"took up another keyset"`)
		})
	})
	t.Run("a policy", func(t *testing.T) {
		t.Parallel()
		f, redis := newFar(t), redisd.New(t, "--appendonly", "yes")
		logged := try(t, f, map[string]any{
			"config": f.config(map[string]any{"MONGODB_ATLAS_CLIENT_ID": f.atlas.ClientID()}),
			"policy": map[string]any{"rules": []any{
				map[string]any{"name": "payments", "projects": []string{"payments-*"}, "approvers": []string{"S0APPROVE1"}, "approvals": 2, "ttl": "30m"},
				map[string]any{"name": "the rest", "projects": []string{"*"}, "banner": "It's \"real\": tell #incidents"},
			}},
			"secrets": map[string]any{"existing": "mine"},
		}, secrets{"mine": {
			"SLACK_APP_TOKEN": f.slack.AppToken(), "SLACK_BOT_TOKEN": f.slack.BotToken(), "SEALING_KEYSET": f.keyset,
			"MONGODB_ATLAS_CLIENT_SECRET": f.atlas.ClientSecret(), "REDIS_URL": redis.URL,
		}})
		// That the check looked at the rules shows that the file was read.
		assert.Regexp(t, `(?m)^ok    policy payments projects +holds for \d+ projects?$`, logged)
		assert.Regexp(t, `(?m)^ok    policy the rest projects +holds for \d+ projects?$`, logged)
	})
	t.Run("several Secrets", func(t *testing.T) {
		t.Parallel()
		f, redis := newFar(t), redisd.New(t, "--appendonly", "yes")
		try(t, f, map[string]any{
			"replicaCount": 1, // of two, the chart takes two connections each
			"config": f.config(map[string]any{
				"SLACK_CONNECTIONS": 3, "LOG_FORMAT": "text",
				"MONGODB_ATLAS_PROJECTS": map[string]string{"payments-prod": f.atlas.ProjectID("payments-prod")},
			}),
			"secrets": map[string]any{"existing": "mine", "from": map[string]any{
				"MONGODB_ATLAS_PUBLIC_API_KEY":  map[string]string{"name": "atlas", "key": "public"},
				"MONGODB_ATLAS_PRIVATE_API_KEY": map[string]string{"name": "atlas", "key": "private"},
				"REDIS_URL":                     map[string]string{"name": "redis-app", "key": "uri"},
			}},
		}, secrets{
			"mine":      {"SLACK_APP_TOKEN": f.slack.AppToken(), "SLACK_BOT_TOKEN": f.slack.BotToken(), "SEALING_KEYSET": f.keyset},
			"atlas":     {"public": f.atlas.PublicKey(), "private": f.atlas.PrivateKey()},
			"redis-app": {"uri": redis.URL + "\n"}, // as people paste it
		})
	})
	t.Run("trying out", func(t *testing.T) {
		t.Parallel()
		f := newFar(t)
		try(t, f, map[string]any{
			"config": f.config(map[string]any{"MONGODB_ATLAS_CLIENT_ID": f.atlas.ClientID()}),
			"redis":  map[string]any{"enabled": true},
			"secrets": map[string]any{"values": map[string]string{
				"SLACK_APP_TOKEN": f.slack.AppToken(), "SLACK_BOT_TOKEN": f.slack.BotToken(), "SEALING_KEYSET": f.keyset,
				"MONGODB_ATLAS_CLIENT_SECRET": f.atlas.ClientSecret(),
			}},
		}, nil)
	})
}

// try installs the chart, as far as that goes without a cluster: Redis if it is
// part of it, a replica of the bot, and `helm test`; then it ends the replica. It
// answers what `helm test` printed. More may be done with the replica while it runs.
func try(t *testing.T, f *far, values map[string]any, mine secrets, more ...func(replica *process)) string {
	t.Helper()
	values["port"] = freePort(t)
	all := helm(t, values)
	user := confined(t)
	there := &namespace{maps.Clone(mine), map[string]map[string]string{}}
	for _, o := range all {
		switch o.Kind {
		case "Secret":
			require.Empty(t, there.secrets, "either our Secrets or the chart's")
			there.secrets = secrets{o.Metadata.Name: o.StringData}
		case "ConfigMap":
			there.configMaps[o.Metadata.Name] = o.Data
		}
	}
	hosts := "127.0.0.1 localhost\n"
	if slices.ContainsFunc(all, func(o object) bool { return o.Kind == "StatefulSet" }) {
		hosts += startRedis(t, all, user)
	}

	deployment := find(t, all, "Deployment", "")
	pod, _, _ := podOf(t, deployment)
	replica := newProcess(t, pod, there, hosts, user)
	before := replica.files(t)
	ended := replica.start(t)
	c := &pod.Containers[0]
	replica.wait(t, ended, c.StartupProbe)
	replica.wait(t, ended, c.ReadinessProbe)
	replica.wait(t, ended, c.LivenessProbe)
	replica.assertConfined(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	connections, err := strconv.Atoi(replica.env["SLACK_CONNECTIONS"])
	require.NoError(t, err)
	require.NoError(t, f.slack.WaitConnections(ctx, connections))

	checking, _, _ := podOf(t, find(t, all, "Pod", "-check"))
	helmTest := newProcess(t, checking, there, hosts, user)
	assert.Equal(t, replica.env, helmTest.env, "the check should try what the bot is given")
	require.NoError(t, <-helmTest.start(t), "%s", &helmTest.said)
	for line := range strings.Lines(helmTest.said.String()) {
		// Of miniredis it doubts some things, but that is not what people run. And nobody has clicked anything yet.
		doubt := strings.HasPrefix(line, "warn") && (!realRedis() || strings.Contains(line, "slack interactivity"))
		assert.True(t, strings.HasPrefix(line, "ok ") || doubt, "`bot check` should find nothing: %s", line)
	}

	assert.Equal(t, before, replica.files(t), "the bot should leave its file system as it was")
	for _, do := range more {
		do(replica)
		before = replica.files(t)
	}
	require.NoError(t, replica.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-ended:
		require.NoError(t, err, "%s", &replica.said)
	case <-time.After(time.Duration(pod.GraceSeconds) * time.Second):
		t.Errorf("Kubernetes would have killed the bot, %d s after it asked it to end", pod.GraceSeconds)
	}
	assert.Equal(t, before, replica.files(t), "the bot should leave its file system as it was")
	assert.NotContains(t, replica.said.String(), f.keyset, "the log holds the keyset of before")
	for name, value := range there.secrets.all() {
		assert.NotContains(t, replica.said.String(), value, "the log holds %s", name)
	}
	return helmTest.said.String()
}

// all are the values that nobody may see, by where they are.
func (s secrets) all() map[string]string {
	values := map[string]string{}
	for name, keys := range s {
		for key, value := range keys {
			if !strings.Contains(value, "redis://127.0.0.1") && key != "public" { // holds no password; is no secret
				values[name+"/"+key] = value
			}
		}
	}
	return values
}

var built struct {
	once sync.Once
	path string
	err  error
}

// bot builds the bot once, as the image does: without C, so that it needs nothing
// else in its root.
func bot(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		built.path = filepath.Join(builtIn, "bot")
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", built.path, "../cmd/bot") //nolint:gosec,noctx // our own arguments
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build the bot: %w: %s", err, out)
		}
	})
	require.NoError(t, built.err)
	return built.path
}

// builtIn outlives the test that builds.
var builtIn string

func TestMain(m *testing.M) {
	var err error
	if builtIn, err = os.MkdirTemp("", "deploy"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(builtIn)
	os.Exit(code)
}

// A process is a container without a runtime.
type process struct {
	root    string
	env     map[string]string
	port    int
	cmd     *exec.Cmd
	said    said
	volumes []volume
}

// A volume is a mounted one whose files may change.
type volume struct {
	path    string
	sources []source
	mode    fs.FileMode
	times   int // that it was written
}

type source struct {
	Secret struct {
		Name  string
		Items []struct{ Key, Path string }
	}
}

// said is what a process prints, to be looked at while it does.
type said struct {
	guard sync.Mutex
	text  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.guard.Lock()
	defer s.guard.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.guard.Lock()
	defer s.guard.Unlock()
	return s.text.String()
}

// wait waits until something was printed.
func (s *said) wait(t *testing.T, words string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(s.String(), words) }, patience, 50*time.Millisecond, "nobody said %s", words)
}

// newProcess lays out what the container would find: of the image the bot alone,
// the files of the volumes that are mounted, and /etc/hosts.
func newProcess(t *testing.T, pod podSpec, there *namespace, hosts string, user *syscall.SysProcAttr) *process {
	t.Helper()
	require.Len(t, pod.Containers, 1)
	c := &pod.Containers[0]
	require.Empty(t, c.Command, "the image has its entry point")
	p := &process{root: t.TempDir(), env: map[string]string{}}
	for _, v := range c.Env {
		assert.NotContains(t, p.env, v.Name, "twice in the environment")
		if ref := v.ValueFrom.SecretKeyRef; ref.Name != "" {
			require.Contains(t, there.secrets[ref.Name], ref.Key, "%s refers to a key that is not there", v.Name)
			v.Value = there.secrets[ref.Name][ref.Key]
		}
		p.env[v.Name] = v.Value
	}
	if len(c.Ports) > 0 {
		p.port = c.Ports[0].ContainerPort
	}
	require.NoError(t, os.Link(bot(t), filepath.Join(p.root, "bot")))
	p.write(t, "/etc/hosts", hosts, 0o444)
	for _, m := range c.VolumeMounts {
		p.mount(t, pod, m, there)
	}
	p.lock(t)

	p.cmd = exec.Command("/bot", c.Args...) //nolint:gosec,noctx // our own bot; it is asked to end, not killed
	p.cmd.Dir = "/"
	p.cmd.Env = []string{}
	for name, value := range p.env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	attr := *user
	attr.Chroot = p.root
	p.cmd.SysProcAttr = &attr
	return p
}

// mount writes the files of a volume.
func (p *process) mount(t *testing.T, pod podSpec, m mount, there *namespace) {
	t.Helper()
	require.True(t, m.ReadOnly, "%s is mounted for writing", m.Name)
	i := slices.IndexFunc(pod.Volumes, func(v map[string]yaml.Node) bool { name := v["name"]; return name.Value == m.Name })
	require.GreaterOrEqual(t, i, 0, "there is no volume %s to mount", m.Name)
	if from, ok := pod.Volumes[i]["configMap"]; ok {
		var configMap struct{ Name string }
		require.NoError(t, from.Decode(&configMap))
		require.Contains(t, there.configMaps, configMap.Name, "a ConfigMap that is not there")
		for name, content := range there.configMaps[configMap.Name] {
			p.write(t, filepath.Join(m.MountPath, name), content, 0o644)
		}
		return
	}
	var projected struct {
		DefaultMode fs.FileMode `yaml:"defaultMode"`
		Sources     []source
	}
	from := pod.Volumes[i]["projected"]
	require.NoError(t, from.Decode(&projected))
	require.NotEmpty(t, projected.Sources)
	v := volume{path: m.MountPath, sources: projected.Sources, mode: projected.DefaultMode}
	p.project(t, &v, there.secrets)
	for _, s := range v.sources {
		for _, item := range s.Secret.Items {
			require.NoError(t, os.Symlink(filepath.Join("..data", item.Path), filepath.Join(p.root, v.path, item.Path)))
		}
	}
	p.volumes = append(p.volumes, v)
}

// project writes the files of a volume as a kubelet does: into a new directory, to
// which the link "..data" then leads all at once.
func (p *process) project(t *testing.T, v *volume, there secrets) {
	t.Helper()
	v.times++
	version := fmt.Sprintf("..%d", v.times)
	for _, s := range v.sources {
		for _, item := range s.Secret.Items {
			content, ok := there[s.Secret.Name][item.Key]
			require.True(t, ok, "key %s of Secret %s is not there", item.Key, s.Secret.Name)
			p.write(t, filepath.Join(v.path, version, item.Path), content, v.mode)
		}
	}
	data := filepath.Join(p.root, v.path, "..data")
	require.NoError(t, os.Symlink(version, data+"_tmp"))
	require.NoError(t, os.Rename(data+"_tmp", data))
}

// remount has the volumes follow Secrets that changed.
func (p *process) remount(t *testing.T, there secrets) {
	t.Helper()
	for i := range p.volumes {
		v := &p.volumes[i]
		path := filepath.Join(p.root, v.path)
		require.NoError(t, os.Chmod(path, 0o755)) //nolint:gosec // as a mounted directory is
		p.project(t, v, there)
		require.NoError(t, os.Chmod(path, 0o555)) //nolint:gosec // nobody writes here
	}
}

// write makes a file of root's, which the group of the pod may read as far as the
// mode says.
func (p *process) write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	path = filepath.Join(p.root, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755)) //nolint:gosec // as an image has it
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	require.NoError(t, os.Chmod(path, mode))
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(path, 0, nonroot))
	}
}

// lock takes the right to write away from everybody, and gives it back to the
// test when it ends.
func (p *process) lock(t *testing.T) {
	t.Helper()
	chmod := func(mode fs.FileMode) {
		assert.NoError(t, filepath.WalkDir(p.root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			return os.Chmod(path, mode) //nolint:gosec // our own directory
		}))
	}
	chmod(0o555)
	t.Cleanup(func() { chmod(0o755) })
}

// files are all files and directories, with what would change if one was written.
func (p *process) files(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(p.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			found[path] = fmt.Sprint(info.Mode(), info.ModTime())
		}
		return err
	}))
	return found
}

// start runs the process. What it ends with comes once.
func (p *process) start(t *testing.T) <-chan error {
	t.Helper()
	require.NoError(t, p.cmd.Start())
	ended := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-done
	})
	return ended
}

// assertConfined looks at the process from outside: whose it is, and what it might.
func (p *process) assertConfined(t *testing.T) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^CapEff:\t0+$`, string(status), "no capabilities")
	assert.Regexp(t, `(?m)^CapPrm:\t0+$`, string(status), "no capabilities")
	if os.Getuid() == 0 { // in a user namespace it looks different from here
		for _, who := range []string{"Uid", "Gid"} {
			assert.Regexp(t, fmt.Sprintf(`(?m)^%s:(\t%d){4}$`, who, nonroot), string(status))
		}
	}
	root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", p.cmd.Process.Pid))
	require.NoError(t, err)
	assert.Equal(t, p.root, root)
}

// wait asks a probe until it answers 200.
func (p *process) wait(t *testing.T, ended <-chan error, probe probe) {
	t.Helper()
	require.Equal(t, "http", probe.HTTPGet.Port, "a probe of a port that the container does not name")
	url := fmt.Sprintf("http://127.0.0.1:%d%s", p.port, probe.HTTPGet.Path)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if get(ctx, url) == http.StatusOK {
			return
		}
		select {
		case <-tick.C:
		case err := <-ended:
			require.FailNow(t, "the bot ended", "%v\n%s", err, &p.said)
		case <-ctx.Done():
			require.FailNow(t, "not in time: "+url)
		}
	}
}

func get(ctx context.Context, url string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// startRedis runs the chart's Redis at an address of its own, and answers the line
// of /etc/hosts by which the pod's DNS would find it.
func startRedis(t *testing.T, all []object, user *syscall.SysProcAttr) string {
	t.Helper()
	if !realRedis() {
		require.Empty(t, os.Getenv("CI"), "this test needs redis-server")
		t.Skip("there is no redis-server to run as the chart does")
	}
	set := find(t, all, "StatefulSet", "-redis")
	pod, _, _ := podOf(t, set)
	c := pod.Containers[0]
	require.Equal(t, []string{"redis-server"}, c.Command)
	require.Len(t, c.VolumeMounts, 1)
	data, err := os.MkdirTemp("", "redis") // not that of the test: its parent is root's alone
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(data) })
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(data, nonroot, nonroot))
	}
	for i, arg := range c.Args {
		if arg == c.VolumeMounts[0].MountPath {
			c.Args[i] = data
		}
	}
	var at [2]byte
	_, _ = rand.Read(at[:]) // it does not fail
	address := fmt.Sprintf("127.64.%d.%d", at[0], at[1]|1)
	args := append(c.Args, "--bind", address)                                             //nolint:gocritic // the chart's arguments and one more
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), c.Command[0], args...) //nolint:gosec // the chart's own
	attr := *user
	cmd.SysProcAttr = &attr
	cmd.Dir, cmd.Env = "/", []string{}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	return fmt.Sprintf("%s %s\n", address, find(t, all, "Service", "-redis").Metadata.Name)
}

func realRedis() bool {
	_, err := exec.LookPath("redis-server")
	return err == nil
}

// nonroot is the user of the image and of the pod.
const nonroot = 65532

// confined makes a process run as the pod's user: root can, and others can in a
// user namespace of their own where the system lets them.
func confined(t *testing.T) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() == 0 {
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nonroot, Gid: nonroot}}
	}
	attr := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: nonroot, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: nonroot, HostID: os.Getgid(), Size: 1}},
	}
	try := exec.CommandContext(t.Context(), "/bin/true")
	try.SysProcAttr = attr
	if err := try.Run(); err != nil {
		if os.Getenv("CI") != "" {
			require.NoError(t, err, "neither root nor user namespaces: nothing can be run as the pod's user")
		}
		t.Skip("neither root nor user namespaces: nothing can be run as the pod's user")
	}
	return attr
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}
