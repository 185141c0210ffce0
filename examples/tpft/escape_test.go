package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hostileTree makes a directory with a secret, and in it one to be served
// that has all kinds of ways out. It returns the path of the latter.
func hostileTree(t *testing.T) (root string) {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	root = filepath.Join(base, "root")
	for name, text := range map[string]string{
		"secret": "secret", "outside/x": "secret", "root-evil/x": "secret",
		"root/inside": "public", "root/dir/x": "public",
	} {
		write(t, filepath.Join(base, name), []byte(text))
	}
	for name, target := range map[string]string{
		"up": "..", "rel": "../secret", "dirlink": "../outside", "dir/up": "../..", "chain": "chain2", "chain2": "dir/../rel",
		"abs": filepath.Join(base, "outside"), "absfile": filepath.Join(base, "secret"), "absroot": root, "slash": "/", "loop": "loop",
		"dangling": "../new", "inlink": "inside", "indir": "dir", "intodir": "dir/../inside", "toroot": ".",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// snapshot returns what is in a directory, but for what is in the one served.
func snapshot(t *testing.T, base string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == filepath.Join(base, "root") {
			return fs.SkipDir
		}
		if d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			found[path] = string(text)
			return err
		}
		found[path] = d.Type().String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// requests are all ways to use a path. Those that read must not be answered
// with what they ask for, and none with a confirmation.
func requests(path string) map[string]string {
	quoted, _ := json.Marshal(path)
	p := string(quoted)
	return map[string]string{
		"download":      `{"type":"download-request","letter":{"download_path":` + p + `}}`,
		"upload":        `{"type":"upload-request","letter":{"file_size":0,"destination_path":` + p + `}}`,
		"resume upload": `{"type":"upload-request","letter":{"file_size":0,"destination_path":` + p + `,"resume":true}}`,
		"stat":          `{"type":"stat-request","letter":{"path":` + p + `}}`,
		"list":          `{"type":"list-request","letter":{"path":` + p + `}}`,
		"mkdir":         `{"type":"mkdir-request","letter":{"path":` + p + `}}`,
		"sum":           `{"type":"sum-request","letter":{"path":` + p + `}}`,
	}
}

func TestNoPathLeavesTheServedDirectory(t *testing.T) {
	root := hostileTree(t)
	base := filepath.Dir(root)
	server := startServerAt(t, root)
	before := snapshot(t, base)
	escapes := []string{
		"..", "../", "../.", "../secret", "./../secret", "dir/../../secret", "dir/./../../secret", "dir//..//..//secret",
		"dir/../../root/../secret", "../root/inside", "../outside/new", "../../../../../../../../etc/passwd",
		"/", "//", "/etc/passwd", "//etc/passwd", "/etc", "/tmp/tpft-escaped", "/dev/null", "/dev/fd/0", "/proc/self/root/etc/passwd", "/proc/self/cwd/flags.go",
		base, base + "/secret", base + "/new", base + "/root/../secret", base + "/root/dir/../../secret", base + "/root/up/secret",
		base + "/root-evil/x", base + "/root-evil/new", base + "/outside/x", base + "/./outside/../secret",
		"up", "up/secret", "up/new", "up/outside/x", "up/root/inside", "dir/up/secret", "dir/up/outside/new",
		"rel", "dangling", "absfile", "abs", "abs/x", "abs/new", "absroot/inside", "slash", "slash/etc/passwd", "slash" + base + "/new",
		"dirlink", "dirlink/", "dirlink/.", "dirlink/x", "dirlink/new", "dirlink/../secret", "dirlink/../new",
		"chain", "chain2", "loop", "loop/x", "indir/../../secret", "indir/up/secret", "toroot/../secret", "toroot/toroot/up/secret",
		"missing/../../secret", "inside/../../secret",
	}
	p := connect(t, server.address)
	for _, path := range escapes {
		for _, kind := range slices.Sorted(maps.Keys(requests(path))) {
			p.message(requests(path)[kind])
			answer := p.receive()
			isMissing := kind == "stat" && strings.Contains(answer, `"kind":"missing"`)
			if !strings.HasPrefix(answer, `{"type":"rejected"`) && !isMissing {
				t.Fatalf("%s of %q was answered %s", kind, path, answer)
			}
			if !strings.Contains(path, base) && strings.Contains(answer, base) {
				t.Errorf("%s of %q tells a path of the server: %s", kind, path, answer)
			}
		}
	}
	p.message(closeText)
	p.end()
	if diff := cmp.Diff(before, snapshot(t, base)); diff != "" {
		t.Errorf("outside (-before +after):\n%s", diff)
	}
	if n := len(escapes); n < 30 {
		t.Errorf("%d attempts, expected 30 or more", n)
	}
}

func TestPathsThatStayInsideMeanTheirFileHoweverTheyAreWritten(t *testing.T) {
	root := hostileTree(t)
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(root, alias); err != nil {
		t.Fatal(err)
	}
	server := startServerAt(t, alias)
	back := filepath.Join(t.TempDir(), "back")
	n := 0
	for _, path := range []string{
		"inside", "./inside", "dir/../inside", "dir/.././inside", ".//inside", "inlink", "intodir", "indir/../inside", "toroot/inside", "toroot/toroot/inlink",
		root + "/inside", alias + "/inside", "//" + root + "//inside", root + "/./dir/../inside", root + "/inlink",
	} {
		n++
		text := fmt.Appendf(nil, "public %d", n)
		source := write(t, filepath.Join(t.TempDir(), "x"), text)
		succeed(t, source, server.remote(path))
		expectFile(t, filepath.Join(root, "inside"), text)
		succeed(t, server.remote(path), back)
		expectFile(t, back, text)
	}
	if info, err := os.Lstat(filepath.Join(root, "inlink")); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the symbolic link became %v, %v", info, err)
	}
}

func TestNamesThatOnlyLookLikeAWayOutAreNames(t *testing.T) {
	root := hostileTree(t)
	base := filepath.Dir(root)
	server := startServerAt(t, root)
	before := snapshot(t, base)
	source := write(t, filepath.Join(t.TempDir(), "x"), []byte("1"))
	for _, name := range []string{`..\secret`, "%2e%2e", "...", "..x", "x..", "~", "$HOME", "`id`", "\u2024\u2024", "\uff0e\uff0e", "C:x", "-rf", "*"} {
		succeed(t, source, server.remote(name))
		expectFile(t, filepath.Join(root, name), []byte("1"))
	}
	if diff := cmp.Diff(before, snapshot(t, base)); diff != "" {
		t.Errorf("outside (-before +after):\n%s", diff)
	}
}
