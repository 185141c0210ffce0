//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// The file of these tests takes three messages of a download.
const resumeSize = 2*defaultChunk + 700_000

var resumeData = sync.OnceValue(func() []byte { return contents(resumeSize) })

func TestAfterAKillAResumedCopyMovesTheRestAlone(t *testing.T) {
	for _, upload := range []bool{true, false} {
		for _, killServer := range []bool{true, false} {
			for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
				for _, flags := range [][]string{{"-resume"}, {"-resume", "-c", "-check"}} {
					k := &killing{server: goTPFT, client: goTPFT, killServer: killServer, upload: upload}
					t.Run(fmt.Sprintf("%v, %v, %v", k, sig, flags), func(t *testing.T) {
						t.Parallel()
						k.random = seeded(t)
						k.root, k.local = t.TempDir(), t.TempDir()
						k.resume(t, sig, flags)
					})
				}
			}
		}
	}
}

// resume kills inside of the second message of a download: the first one has
// been kept by then, and the third one not yet sent.
func (k *killing) resume(t *testing.T, sig syscall.Signal, flags []string) {
	flags = append(k.flags(), flags...)
	sourceDir, destDir := k.directories()
	dest, partial := filepath.Join(destDir, "x"), filepath.Join(destDir, ".x.tpft-partial")
	write(t, filepath.Join(sourceDir, "x"), resumeData())
	write(t, dest, []byte("old"))

	running, address := k.server.serve(t, k.root)
	r := startRelay(t, address)
	n := defaultChunk + 10_000 + k.random.Int64N(defaultChunk-20_000)
	reached, release := r.hold(k.upload, n)
	client := k.copyThrough(t, r, flags...)
	select {
	case <-reached:
	case <-client.ended:
		t.Fatalf("%d bytes were not reached: stderr %q", n, client.stderr.String())
	}
	victim := client
	if k.killServer {
		victim = running
	}
	victim.signal(t, sig)
	victim.wait(t, soon)
	release()
	if status := client.wait(t, soon); status == 0 {
		t.Errorf("the client of a copy that was killed after %d bytes ended with status 0", n)
	}
	if k.killServer {
		running.wait(t, soon)
		_, address = k.server.serve(t, k.root)
	} else {
		running.await(t, &running.stdout, "that the client disconnected", func(text string) bool {
			return strings.Contains(text, " disconnected")
		})
	}

	expectFile(t, dest, []byte("old"))
	expectNames(t, destDir, ".x.tpft-partial", "x")
	kept, err := os.ReadFile(partial)
	if err != nil || len(kept) < defaultChunk/2 || !bytes.HasPrefix(resumeData(), kept) {
		t.Errorf("%d bytes were kept, %v; expected the beginning of the file, as %d were moved", len(kept), err, n)
	}

	again := startRelay(t, address)
	k.copyThrough(t, again, flags...).expectSuccess(t)
	expectFile(t, dest, resumeData())
	expectNames(t, destDir, "x")
	rest := int64(resumeSize - len(kept))
	if moved := again.direction(k.upload).count(); moved < rest || moved > rest+10_000 {
		t.Errorf("%d bytes were moved to go on after %d, expected %d and little more", moved, len(kept), rest)
	}
}
