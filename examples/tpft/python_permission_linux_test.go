package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// ordinaryPython is tpft.py without the rights of root. It gives them up by
// itself, when all is imported: others may not be allowed to look where the
// interpreter is.
const ordinaryPython = `
import encodings.idna, os, sys
sys.path.insert(0, sys.argv[1])
import tpft

def parse(whole=tpft.parse):
    args = whole()
    os.geteuid() or os.seteuid(65534)
    return args

tpft.parse = parse
sys.argv[:2] = ["tpft.py"]
sys.exit(tpft.main())
`

// ordinaryCommand is pythonCommand without the rights of root.
func ordinaryCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := pythonCommand(t)
	cmd.Args = append([]string{cmd.Path, "-S", "-E", "-c", ordinaryPython, peerDir}, args...)
	if os.Getuid() != os.Geteuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{
			Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid()), NoSetGroups: true,
		}}
	}
	return cmd
}

// restricted are the names of what is in a directory where not all may be read
// or written.
var restricted = []string{"closed", "closed/x", "open", "open/ok", "open/readonly", "open/unreadable"}

func makeRestricted(t *testing.T) string {
	t.Helper()
	dir := publicDir(t)
	for name, mode := range map[string]os.FileMode{
		"closed/x": 0o600, "open/readonly": 0o444, "open/unreadable": 0o200, "open/ok": 0o666,
	} {
		if err := os.Chmod(write(t, filepath.Join(dir, name), []byte(name)), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.Chmod(filepath.Join(dir, "closed"), 0o777) })
	for name, mode := range map[string]os.FileMode{"closed": 0o555, "open": 0o777} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWithoutPermissionGoAndPythonTellEachOtherWhy(t *testing.T) {
	root, local := makeRestricted(t), makeRestricted(t)
	old := launch(t, ordinaryCommand(t, "serve", "--dir", root))
	python := old.address(t, &old.stdout)
	asOrdinaryUser(t)
	server := startServerAt(t, root).address
	for _, tt := range []struct{ from, to, fromPython, fromGo string }{
		{"local/open/ok", "remote/closed/new", "Permission denied: 'closed/new'", "open closed/new: permission denied"},
		{"local/open/ok", "remote/open/readonly", "Permission denied: 'open/readonly'", "open open/readonly: permission denied"},
		{"remote/open/unreadable", "local/open/new", "Permission denied: 'open/unreadable'", "open open/unreadable: permission denied"},
		{"local/open/unreadable", "remote/open/new", "permission denied", "Permission denied"},
		{"remote/open/ok", "local/closed/new", "permission denied", "Permission denied"},
		{"remote/open/ok", "local/open/readonly", "permission denied", "Permission denied"},
	} {
		place := func(path, address string) string {
			if at, ok := strings.CutPrefix(path, "remote/"); ok {
				return address + ":" + at
			}
			return filepath.Join(local, strings.TrimPrefix(path, "local/"))
		}
		fail(t, tt.fromPython, place(tt.from, python), place(tt.to, python))
		launch(t, ordinaryCommand(t, pythonArgs(t, place(tt.from, server), place(tt.to, server))...)).expectFailure(t, bound, tt.fromGo)
	}
	succeed(t, python+":open/ok", filepath.Join(local, "open/ok"))
	for _, dir := range []string{root, local} {
		expectNames(t, dir, restricted...)
		expectFile(t, filepath.Join(dir, "open/readonly"), []byte("open/readonly"))
	}
}
