package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Where a file can't be without a name, a killed process leaves one behind.
func TestWhereFilesNeedANameTheNextCopyRemovesWhatAKilledEndLeft(t *testing.T) {
	isolated(t, func(t *testing.T) {
		withoutUnnamedFiles(t)
		for _, upload := range []bool{true, false} {
			for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
				t.Run(fmt.Sprintf("upload %v, %v", upload, sig), func(t *testing.T) {
					k := &killing{server: goTPFT, client: goTPFT, killServer: upload, upload: upload, data: killData(),
						root: t.TempDir(), local: t.TempDir()}
					k.leave(t, sig)
				})
			}
		}
	})
}

func (k *killing) leave(t *testing.T, sig syscall.Signal) {
	sourceDir, destDir := k.directories()
	write(t, filepath.Join(sourceDir, "x"), k.data)
	write(t, filepath.Join(destDir, "x"), []byte("old"))
	server, address := k.server.serve(t, k.root)
	r := startRelay(t, address)
	reached, release := r.hold(k.upload, 1_000_000)
	client := k.copyThrough(t, r, k.flags()...)
	select {
	case <-reached:
	case <-client.ended:
		t.Errorf("the client has ended with %q", client.stderr.String())
	}
	drafts, err := filepath.Glob(filepath.Join(destDir, ".tpft-*.tmp"))
	if err != nil || len(drafts) != 1 {
		t.Errorf("%q, %v: expected one temporary file while a copy is in progress", drafts, err)
	}
	victim := client
	if k.killServer {
		victim = server
	}
	victim.signal(t, sig)
	victim.wait(t, soon)
	release()
	expectFile(t, filepath.Join(destDir, "x"), []byte("old"))

	left, err := os.ReadDir(destDir)
	if err != nil || (len(left) == 2) != (sig == syscall.SIGKILL) {
		t.Errorf("%v are left, %v; expected a temporary file only of a process that was killed", left, err)
	}
	if k.killServer {
		_, address = k.server.serve(t, k.root)
	}
	k.copyThrough(t, startRelay(t, address)).expectSuccess(t)
	expectNames(t, destDir, "x")
	expectFile(t, filepath.Join(destDir, "x"), k.data)
}
