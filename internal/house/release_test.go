package house_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// What runs at GitHub, and what makes a release, cannot be run before it is needed.
// So these tests look at what would only fail then.

type (
	workflow struct {
		Permissions map[string]string `yaml:"permissions"`
		Jobs        map[string]job    `yaml:"jobs"`
	}

	job struct {
		Uses        string            `yaml:"uses"`
		Permissions map[string]string `yaml:"permissions"`
		Timeout     int               `yaml:"timeout-minutes"`
		Steps       []step            `yaml:"steps"`
	}

	step struct {
		Uses string            `yaml:"uses"`
		Run  string            `yaml:"run"`
		With map[string]string `yaml:"with"`
	}
)

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*"))
	require.NoError(t, err)
	all := map[string]workflow{}
	for _, path := range paths {
		var w workflow
		require.NoError(t, yaml.Unmarshal([]byte(readFile(t, ".github", "workflows", filepath.Base(path))), &w), path)
		all[filepath.Base(path)] = w
	}
	require.Contains(t, all, "test.yaml")
	require.Contains(t, all, "release.yaml")
	return all
}

// An action is what its commit says: whoever moves a tag changes nothing here.
func TestActionsArePinned(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^\s*(- )?uses: [\w.-]+(/[\w.-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	at := map[string]string{} // one version of each, so that an update forgets none
	uses := 0
	for name := range workflows(t) {
		for line := range strings.Lines(readFile(t, ".github", "workflows", name)) {
			line = strings.TrimRight(line, "\n")
			if !strings.Contains(line, "uses:") || strings.Contains(line, "uses: ./") {
				continue
			}
			uses++
			assert.Regexp(t, pinned, line, name)
			action, version, _ := strings.Cut(line[strings.Index(line, "uses: ")+len("uses: "):], "@")
			if before, ok := at[action]; ok {
				assert.Equal(t, before, version, "%s in two versions", action)
			}
			at[action] = version
		}
	}
	assert.Greater(t, uses, 5)
}

// A workflow may nothing, and a job what it says: to read, and for a release to
// publish and to sign.
func TestWorkflowsMayLittle(t *testing.T) {
	t.Parallel()
	may := map[string]map[string]string{
		"release.yaml release": {"contents": "write", "packages": "write", "id-token": "write"},
	}
	for name, w := range workflows(t) {
		assert.NotNil(t, w.Permissions, "%s: without permissions GitHub gives more", name)
		assert.Empty(t, w.Permissions, name)
		for title, j := range w.Jobs {
			want, ok := may[name+" "+title]
			if !ok {
				want = map[string]string{"contents": "read"}
			}
			assert.Equal(t, want, j.Permissions, "%s, job %s", name, title)
			assert.True(t, j.Uses != "" || j.Timeout > 0, "%s, job %s: without timeout-minutes it may take six hours", name, title)
			for _, s := range j.Steps {
				if strings.HasPrefix(s.Uses, "actions/checkout@") {
					assert.Equal(t, "false", s.With["persist-credentials"], "%s, job %s: the token stays in .git", name, title)
				}
				assert.NotContains(t, s.Run, "${{", "%s, job %s: what is put into a script can be a script; give it as a variable", name, title)
			}
		}
	}
}

// goVersions are the lines go and toolchain of a go.mod.
func goVersions(t *testing.T, path ...string) (least, toolchain string) {
	t.Helper()
	text := readFile(t, path...)
	find := func(pattern string) string {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(text); found != nil {
			return found[1]
		}
		return ""
	}
	return find(`(?m)^go (\S+)$`), find(`(?m)^toolchain go(\S+)$`)
}

// One Go builds all of it. GitHub installs the one that go.mod names, and lets it
// fetch no other: a tool that needs a later one would not be built.
func TestOneGoBuildsEverything(t *testing.T) {
	t.Parallel()
	_, toolchain := goVersions(t, "go.mod")
	require.NotEmpty(t, toolchain, "go.mod names the Go that a release is built with")
	assert.Contains(t, readFile(t, "Dockerfile"), " golang:"+toolchain+" AS build\n", "the image is built with the Go of go.mod")
	tools, err := filepath.Glob(filepath.Join(root, "tools", "*", "go.mod"))
	require.NoError(t, err)
	require.NotEmpty(t, tools)
	for _, path := range tools {
		name := filepath.Base(filepath.Dir(path))
		least, _ := goVersions(t, "tools", name, "go.mod")
		assert.GreaterOrEqual(t, slices.Compare(numbers(t, toolchain), numbers(t, least)), 0, "tools/%s needs Go %s, and go.mod names %s", name, least, toolchain)
	}
	for name, w := range workflows(t) {
		for title, j := range w.Jobs {
			for _, s := range j.Steps {
				if strings.HasPrefix(s.Uses, "actions/setup-go@") {
					assert.Regexp(t, `^(repository/)?go\.mod$`, s.With["go-version-file"], "%s, job %s", name, title)
				}
			}
		}
	}
}

// goreleaser is what the tests read of .goreleaser.yaml.
type goreleaser struct {
	Builds []struct {
		Main    string
		Env     []string
		Flags   []string
		Ldflags []string
	}
	Archives []struct {
		Files []struct{ Src string }
	}
	Checksum struct {
		ExtraFiles []struct{ Glob string } `yaml:"extra_files"`
	}
	Dockers []struct {
		Dockerfile string
		Images     []string
		ExtraFiles []string          `yaml:"extra_files"`
		BuildArgs  map[string]string `yaml:"build_args"`
	} `yaml:"dockers_v2"`
	Release struct {
		ExtraFiles []struct{ Glob string } `yaml:"extra_files"`
	}
}

// The release names files, flags, versions and places that others name too.
func TestReleaseFitsTheRest(t *testing.T) {
	t.Parallel()
	var config goreleaser
	require.NoError(t, yaml.Unmarshal([]byte(readFile(t, ".goreleaser.yaml")), &config))
	require.Len(t, config.Builds, 1)
	require.Len(t, config.Dockers, 1)
	build, image := config.Builds[0], config.Dockers[0]
	dockerfile := readFile(t, "Dockerfile")

	// The archive and the image hold the same binary.
	command := regexp.MustCompile(`go build (.*) -ldflags="(.*)" -o /bot (\S+)`).FindStringSubmatch(dockerfile)
	require.NotNil(t, command, "the Dockerfile builds the bot in another way than this test knows")
	flags := append(strings.Fields(command[1]), strings.TrimPrefix(regexp.MustCompile(`GOFLAGS=(\S+)`).FindString(dockerfile), "GOFLAGS="))
	assert.ElementsMatch(t, flags, build.Flags)
	assert.Equal(t, []string{strings.ReplaceAll(command[2], "$VERSION", "{{ .Tag }}")}, build.Ldflags)
	assert.Equal(t, "{{ .Tag }}", image.BuildArgs["VERSION"])
	assert.Equal(t, command[3], build.Main)
	for _, env := range build.Env {
		assert.Contains(t, dockerfile, " "+env+" ")
	}

	// What the Dockerfile copies, it is given.
	for _, of := range regexp.MustCompile(`(?m)^COPY ([^-\n].*) \S+$`).FindAllStringSubmatch(dockerfile, -1) {
		for path := range strings.FieldsSeq(of[1]) {
			assert.True(t, slices.ContainsFunc(image.ExtraFiles, func(given string) bool {
				return path == given || strings.HasPrefix(path, given+"/")
			}), "the Dockerfile copies %s, which dockers_v2.extra_files does not give it", path)
		}
	}

	// Files that it names are there.
	named := append([]string{image.Dockerfile}, image.ExtraFiles...)
	for _, file := range config.Archives[0].Files {
		before, list, _ := strings.Cut(file.Src, "{")
		list, after, _ := strings.Cut(list, "}")
		for one := range strings.SplitSeq(list, ",") {
			named = append(named, before+one+after)
		}
	}
	assert.Greater(t, len(named), 8)
	for _, path := range named {
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(path)))
		assert.NoError(t, err, ".goreleaser.yaml")
	}

	// The chart lies where the workflow puts it, and takes the image from where it goes.
	run := readFile(t, ".github", "workflows", "release.yaml")
	assert.Equal(t, config.Checksum.ExtraFiles, config.Release.ExtraFiles)
	require.Len(t, config.Release.ExtraFiles, 1)
	assert.Contains(t, run, "--destination "+strings.TrimPrefix(filepath.ToSlash(filepath.Dir(config.Release.ExtraFiles[0].Glob)), "./"))
	var values struct{ Image struct{ Repository string } }
	require.NoError(t, yaml.Unmarshal(chartFile(t, "values.yaml"), &values))
	assert.Equal(t, []string{values.Image.Repository}, image.Images)

	// Whoever installs or checks a release reads where image and chart are.
	owner, name, _ := strings.Cut(strings.TrimPrefix(values.Image.Repository, "ghcr.io/"), "/")
	chart := "ghcr.io/" + owner + "/charts/" + name
	assert.Contains(t, run, "\n      CHARTS: oci://ghcr.io/${{ github.repository_owner }}/charts\n")
	operations := readFile(t, "docs", "operations.md")
	assert.Contains(t, operations, "`"+values.Image.Repository+":VERSION`")
	assert.Contains(t, operations, "`"+chart+":VERSION`")
	assert.Contains(t, string(chartFile(t, "README.md")), "`oci://"+chart+"`")

	// The goreleaser of the workflow is the one that was tried.
	tried := regexp.MustCompile(`github\.com/goreleaser/goreleaser/v2 (v\S+)`).FindStringSubmatch(readFile(t, "tools", "goreleaser", "go.mod"))
	require.NotNil(t, tried)
	assert.Contains(t, run, "\n          version: "+tried[1]+"\n")
}

// What people are told to run in a pod is what the image holds, in the Deployment that the chart makes.
func TestCommandsInThePod(t *testing.T) {
	t.Parallel()
	entry := regexp.MustCompile(`(?m)^ENTRYPOINT \["([^"]+)"\]$`).FindStringSubmatch(readFile(t, "Dockerfile"))
	require.NotNil(t, entry)
	made := regexp.MustCompile(`(?m)^kind: Deployment\nmetadata:\n {2}name: (\S+)$`).FindStringSubmatch(string(chartFile(t, "testdata", "existing.yaml")))
	require.NotNil(t, made)
	inPod := regexp.MustCompile(`kubectl .*\bexec (?:-i )?deployment/(\S+) -- (\S+)`)
	for _, where := range [][]string{
		{"docs", "operations.md"}, {"deploy", "helm", "README.md"}, {"deploy", "helm", "testdata", "existing.notes.txt"},
	} {
		told := inPod.FindAllStringSubmatch(readFile(t, where...), -1)
		assert.NotEmpty(t, told, "%v says nothing of how to run the bot's commands", where)
		for _, line := range told {
			assert.Contains(t, []string{made[1], "NAME"}, line[1], "%v", where)
			assert.Equal(t, entry[1], line[2], "%v", where)
		}
	}
	before, _, found := strings.Cut(string(chartFile(t, "README.md")), "kubectl -n bots ")
	assert.True(t, found && strings.Contains(before, "kubectl create namespace bots\n"), "nothing makes the namespace before it is used")
}

// Whatever has versions is looked at for newer ones.
func TestDependabotKnowsEverything(t *testing.T) {
	t.Parallel()
	var config struct {
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directory   string
			Directories []string
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(readFile(t, ".github", "dependabot.yml")), &config))
	got := map[string]map[string]bool{}
	for _, u := range config.Updates {
		for _, directory := range append(u.Directories, u.Directory) {
			if directory == "" {
				continue
			}
			matches, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(directory)))
			require.NoError(t, err)
			for _, match := range matches {
				name, _ := filepath.Rel(root, match)
				if got[u.Ecosystem] == nil {
					got[u.Ecosystem] = map[string]bool{}
				}
				got[u.Ecosystem][filepath.ToSlash(name)] = true
			}
		}
	}
	want := map[string]map[string]bool{"github-actions": {".": true}, "docker": {".": true, "deploy/helm": true}, "gomod": {}, "npm": {}}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "node_modules", "testdata"}, entry.Name()):
			return fs.SkipDir
		}
		ecosystem := map[string]string{"go.mod": "gomod", "package.json": "npm"}[entry.Name()]
		if ecosystem != "" {
			name, _ := filepath.Rel(root, filepath.Dir(path))
			want[ecosystem][filepath.ToSlash(name)] = true
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

// The benchmark runs in `.ci/run checks` too, so what it needs is installed there as well. coreutils, with nice,
// every Debian has.
func TestChecksInstallWhatTheBenchmarkNeeds(t *testing.T) {
	t.Parallel()
	_, install, found := strings.Cut(readFile(t, ".ci", "run"), "\ninstall_missing() {\n")
	require.True(t, found)
	always, _, found := strings.Cut(install, "if $tests; then")
	require.True(t, found)
	needed := regexp.MustCompile(`\{"[a-z-]+", "[^"]*\bpackage ([a-z-]+)`).FindAllStringSubmatch(readFile(t, "bench", "prepare.go"), -1)
	require.Len(t, needed, 4)
	for _, of := range needed {
		if of[1] != "coreutils" {
			assert.Regexp(t, `missing\+=\((\S+ )*`+of[1]+`\b`, always, "bench/prepare.go needs it")
		}
	}
}

// Owners of what is not there own nothing.
func TestCodeownersNameWhatIsThere(t *testing.T) {
	t.Parallel()
	rules := map[string]bool{}
	for line := range strings.Lines(readFile(t, ".github", "CODEOWNERS")) {
		pattern, owners, _ := strings.Cut(strings.TrimSpace(line), " ")
		if pattern == "" || strings.HasPrefix(pattern, "#") {
			continue
		}
		rules[pattern] = true
		assert.Len(t, strings.Fields(owners), 1, "%s: of several owners any one is enough", pattern)
		if pattern != "*" {
			_, err := os.Stat(filepath.Join(root, filepath.FromSlash(pattern)))
			assert.NoError(t, err, "CODEOWNERS")
		}
	}
	assert.Greater(t, len(slices.Collect(maps.Keys(rules))), 3)
	assert.True(t, rules["*"])
}
