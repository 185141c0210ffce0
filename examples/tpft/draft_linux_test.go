package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// asOrdinaryUser takes the rights of root from this process until the test
// ends, as they are above permissions.
func asOrdinaryUser(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	if err := syscall.Setresuid(-1, nobody, -1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setresuid(-1, 0, -1); err != nil {
			panic(err) // nothing could be cleaned up any more
		}
	})
}

// publicDir is a temporary directory that everybody may look into.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWithoutPermissionTheReasonIsToldAndNothingIsChanged(t *testing.T) {
	root, local := publicDir(t), publicDir(t)
	for name, mode := range map[string]os.FileMode{
		"closed/x": 0o600, "open/readonly": 0o444, "open/unreadable": 0o200, "open/ok": 0o666,
	} {
		for _, dir := range []string{root, local} {
			text := "old"
			if name == "open/ok" {
				text = "new"
			}
			path := write(t, filepath.Join(dir, name), []byte(text))
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, dir := range []string{root, local} {
		for name, mode := range map[string]os.FileMode{"closed": 0o755, "open": 0o777} {
			if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
				t.Fatal(err)
			}
		}
		if os.Geteuid() != 0 {
			if err := os.Chmod(filepath.Join(dir, "closed"), 0o555); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(filepath.Join(dir, "closed"), 0o755) })
		}
	}
	asOrdinaryUser(t)
	server := startServerAt(t, root)
	source := filepath.Join(local, "open/ok")
	for _, tt := range []struct{ from, to, reason string }{
		{source, server.remote("closed/new"), "the server refused: open closed/new: permission denied"},
		{source, server.remote("open/readonly"), "the server refused: open open/readonly: permission denied"},
		{server.remote("open/unreadable"), filepath.Join(local, "open/new"), "the server refused: open open/unreadable: permission denied"},
		{filepath.Join(local, "open/unreadable"), server.remote("open/new"), "unreadable: permission denied"},
		{server.remote("open/ok"), filepath.Join(local, "closed/new"), "closed/new: permission denied"},
		{server.remote("open/ok"), filepath.Join(local, "open/readonly"), "open/readonly: permission denied"},
	} {
		for _, flags := range []string{"-p=false", "-resume"} {
			fail(t, tt.reason, flags, tt.from, tt.to)
		}
	}
	for _, dir := range []string{root, local} {
		expectNames(t, dir, "closed", "closed/x", "open", "open/ok", "open/readonly", "open/unreadable")
		expectFile(t, filepath.Join(dir, "open/readonly"), []byte("old"))
	}
}

func TestAFileThatIsBeingExecutedIsNotReplaced(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := existing(openRoot(t, filepath.Dir(self)), filepath.Base(self)); err == nil || !strings.Contains(err.Error(), "text file busy") {
		t.Errorf("%v, expected: text file busy", err)
	}
}

func TestWhatHasNoRoomIsRefusedBeforeItIsSent(t *testing.T) {
	dir := t.TempDir()
	root := openRoot(t, dir)
	for _, named := range []bool{false, true} {
		w, err := (&drafts{named: named}).create(root, "x", math.MaxInt64)
		if err == nil {
			w.discard()
			t.Error("there was room for 8 EiB")
		}
		expectNames(t, dir)
	}
}

func TestRoomIsReservedWithoutChangingTheSize(t *testing.T) {
	root := openRoot(t, t.TempDir())
	w, err := new(drafts).create(root, "x", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer w.discard()
	var st unix.Stat_t
	if err := control(w.file, func(fd int) error { return unix.Fstat(fd, &st) }); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fallocate(int(w.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 1); err == nil && st.Blocks*512 < 1<<20 || st.Size != 0 {
		t.Errorf("%d bytes are reserved for a size of %d, expected 1 MiB for 0", st.Blocks*512, st.Size)
	}
}

func TestTheOwnerOfAnExistingFileIsKeptWhereThatIsAllowed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root may give files away: nothing to see")
		return
	}
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "x"), nil)
	if err := os.Chown(path, 1234, 2345); err != nil {
		t.Fatal(err)
	}
	for kind := range makers {
		commit(t, kind, openRoot(t, dir), "x")
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != 1234 || st.Gid != 2345 {
			t.Errorf("%s: owner %d:%d, expected 1234:2345", kind, st.Uid, st.Gid)
		}
	}
}
