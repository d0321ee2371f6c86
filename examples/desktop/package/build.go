package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// mainPackage is what is built and released.
const mainPackage = "./examples/desktop"

// target is an operating system and processor, in Go's words.
type target struct{ os, arch string }

var targets = []target{
	{"windows", "amd64"}, {"darwin", "arm64"}, {"darwin", "amd64"}, {"linux", "amd64"}, {"linux", "arm64"},
}

// String is the target as -targets takes it.
func (t target) String() string { return t.os + "/" + t.arch }

// platform is the target as a person looks for it among the files.
func (t target) platform() string {
	if t.os == "darwin" {
		return "macos-" + t.arch
	}
	return t.os + "-" + t.arch
}

func parseTargets(list string) ([]target, error) {
	if list == "" {
		return targets, nil
	}
	var chosen []target
	for name := range strings.SplitSeq(list, ",") {
		found := false
		for _, t := range targets {
			if t.String() == name {
				chosen, found = append(chosen, t), true
			}
		}
		if !found {
			return nil, fmt.Errorf("package: there is no release for %q; there is for %v", name, targets)
		}
	}
	return chosen, nil
}

// toolchain is the Go that builds, and the source tree it builds from.
type toolchain struct {
	root     string // of the module
	program  string // the package to build
	modCache string
	goroot   string
	version  string
	env      []string
}

// carried are the settings of Go that say where things are, not what comes out.
var carried = []string{
	"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOPRIVATE", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOAUTH",
	"GOTMPDIR", "GOVCS",
}

// fixed are those that decide what comes out: for every builder the same, whatever their own settings are.
var fixed = []string{
	"GOENV=off", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0",
	"GO111MODULE=on", "GOFIPS140=off",
}

// findToolchain asks go about itself. dir is anywhere in the module.
func findToolchain(ctx context.Context, dir string) (toolchain, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "-json")
	cmd.Dir = dir
	out, err := output(cmd)
	if err != nil {
		return toolchain{}, err
	}
	settings := map[string]string{}
	if err := json.Unmarshal(out, &settings); err != nil {
		return toolchain{}, err
	}
	tc := toolchain{
		root: filepath.Dir(settings["GOMOD"]), program: mainPackage, modCache: settings["GOMODCACHE"], goroot: settings["GOROOT"],
		version: settings["GOVERSION"],
	}
	if _, err := os.Stat(filepath.Join(tc.root, "go.mod")); err != nil {
		return toolchain{}, errors.New("package: run it within the source tree")
	}
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); !strings.HasPrefix(name, "GO") && !strings.HasPrefix(name, "CGO_") {
			tc.env = append(tc.env, pair)
		}
	}
	for _, name := range carried {
		if settings[name] != "" {
			tc.env = append(tc.env, name+"="+settings[name])
		}
	}
	tc.env = append(tc.env, fixed...)
	return tc, nil
}

// build links the program for t and returns it.
func (tc toolchain) build(ctx context.Context, t target, version string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "huisclos-package-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "huisclos")
	flags := "-s -w -X main.version=" + version
	if t.os == "windows" {
		flags += " -H windowsgui" // no console window beside the browser
	}
	if t.os != "darwin" {
		// On macOS the linker makes LC_UUID from it. The local network permission hangs on that from macOS 15 on, and
		// macOS 26 starts nothing without.
		flags += " -buildid="
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags="+flags, "-o", file, tc.program)
	cmd.Dir = tc.root
	cmd.Env = append(tc.env, "GOOS="+t.os, "GOARCH="+t.arch)
	if _, err := output(cmd); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// output runs cmd and returns what it printed, or what it complained about.
func output(cmd *exec.Cmd) ([]byte, error) {
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("package: %s: %w\n%s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return out.Bytes(), nil
}

// versionForm is what may stand in a file name and a linker flag.
var versionForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$`)

// chooseVersion is the version given, or that of the commit.
func (tc toolchain) chooseVersion(ctx context.Context, given string) (string, error) {
	if given == "" {
		cmd := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty")
		cmd.Dir = tc.root
		out, err := output(cmd)
		if err != nil {
			return "", fmt.Errorf("%w\nsay which version it is with -version", err)
		}
		given = string(bytes.TrimSpace(out))
	}
	given = strings.TrimPrefix(given, "v")
	if !versionForm.MatchString(given) {
		return "", fmt.Errorf("package: %q can't be a version: letters, digits, dot, plus, hyphen, at most 64", given)
	}
	return given, nil
}

// sourceTime is the time everything is dated: SOURCE_DATE_EPOCH (reproducible-builds.org), or that of the commit.
func (tc toolchain) sourceTime(ctx context.Context) (time.Time, error) {
	seconds, given := os.LookupEnv("SOURCE_DATE_EPOCH")
	if !given {
		cmd := exec.CommandContext(ctx, "git", "log", "-1", "--format=%ct")
		cmd.Dir = tc.root
		out, err := output(cmd)
		if err != nil {
			return time.Time{}, fmt.Errorf("%w\nsay which time to date the files in SOURCE_DATE_EPOCH", err)
		}
		seconds = string(bytes.TrimSpace(out))
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	// Archives can't hold times before 1980, nor after 2107.
	if err != nil || n < 315532800 || n > 4354819199 {
		return time.Time{}, fmt.Errorf("package: %q is not a time between 1980 and 2107 in seconds since 1970", seconds)
	}
	return time.Unix(n, 0).UTC(), nil
}

var numericForm = regexp.MustCompile(`^(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?:[-+.]|$)`)

// numeric is the three numbers a version begins with, which is all that Windows and macOS take, or zeros.
func numeric(version string) (n [3]uint32) {
	if m := numericForm.FindStringSubmatch(version); m != nil {
		for i := range n {
			v, _ := strconv.ParseUint(m[i+1], 10, 32) // digits, by the expression
			n[i] = uint32(v)
		}
	}
	return n
}
