package main

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// fact is one about where and when, and with what, the figures came about.
type fact struct{ name, value string }

// machineFacts returns what figures depend on, and nothing that tells whose
// machine it is.
func machineFacts() []fact {
	return []fact{
		{"date", time.Now().Format(time.DateOnly)},
		{"CPU", cpuModel()},
		{"cores", fmt.Sprintf("%d (GOMAXPROCS %d)", runtime.NumCPU(), runtime.GOMAXPROCS(0))},
		{"system", strings.TrimSpace(runtime.GOOS + "/" + runtime.GOARCH + " " + kernelVersion())},
		{"Go", runtime.Version()},
	}
}

// cpuModel returns the name of the processor, where the system says it in the
// way that Linux does.
func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "not known"
}

var versionPattern = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*`)

// kernelVersion returns the numbers of it, where the system says them in the
// way that Linux does.
func kernelVersion() string {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return versionPattern.FindString(string(release))
}

// moduleVersions returns the versions that this program was built with, by
// path.
func moduleVersions() map[string]string {
	versions := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for _, m := range info.Deps {
		versions[m.Path] = m.Version
		if m.Replace != nil {
			versions[m.Path] = "of this repository"
		}
	}
	return versions
}
