//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The files of these tests take two messages of a download, and several of an
// upload.
const (
	killDownload = defaultChunk + 200_000
	killUpload   = 1_400_000
	killChunk    = 300_000
)

// How often each end is killed, and interrupted with either signal.
const (
	killTimes      = 20
	interruptTimes = 4
)

var killData = sync.OnceValue(func() []byte { return contents(killDownload) })

// soon is how long the survivor may take to end.
const soon = 2 * grace

// killing are copies in which one end is killed, again and again.
type killing struct {
	server, client implementation
	killServer     bool
	upload         bool
	random         *rand.Rand

	data        []byte
	root, local string   // directories of either end
	running     *process // the server; nil if it has to be started
	address     string   // of it
	served      int      // connections that it has had
}

func TestAKilledEndLeavesWhatWasThereAndTheOtherEndLivesOn(t *testing.T) {
	for _, pair := range []struct{ server, client implementation }{
		{goTPFT, goTPFT}, {goTPFT, pythonTPFT}, {pythonTPFT, goTPFT},
	} {
		for _, killServer := range []bool{true, false} {
			for _, upload := range []bool{true, false} {
				k := &killing{server: pair.server, client: pair.client, killServer: killServer, upload: upload}
				t.Run(k.String(), func(t *testing.T) {
					t.Parallel()
					k.random = seeded(t)
					k.root, k.local = t.TempDir(), t.TempDir()
					k.repeat(t)
				})
			}
		}
	}
}

// seeded returns random numbers. With what it prints in TPFT_TEST_SEED they are
// the same again.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("TPFT_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("TPFT_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func (k *killing) String() string {
	what, who := "download", "client"
	if k.upload {
		what = "upload"
	}
	if k.killServer {
		who = "server"
	}
	return fmt.Sprintf("%s, %s server, %s client, the %s is killed", what, k.server.name, k.client.name, who)
}

// repeat kills at random places, and at the end of the file. This program is
// interrupted as well.
func (k *killing) repeat(t *testing.T) {
	k.data = killData()
	if k.upload {
		k.data = k.data[:killUpload]
	}
	sourceDir, _ := k.directories()
	write(t, filepath.Join(sourceDir, "x"), k.data)
	anywhere := func() int64 { return 1 + k.random.Int64N(int64(len(k.data))) }
	for range killTimes - 1 {
		k.kill(t, anywhere(), syscall.SIGKILL)
	}
	k.kill(t, k.fileEnd(), syscall.SIGKILL)
	victim := k.client
	if k.killServer {
		victim = k.server
	}
	if victim.name == goTPFT.name {
		for range interruptTimes {
			k.kill(t, anywhere(), syscall.SIGINT)
			k.kill(t, anywhere(), syscall.SIGTERM)
		}
	}
	expectFile(t, filepath.Join(sourceDir, "x"), k.data)
	k.serveNext(t)
}

// directories returns where the file is, and where it goes to.
func (k *killing) directories() (source, dest string) {
	if k.upload {
		return k.local, k.root
	}
	return k.root, k.local
}

// fileEnd returns how many bytes go in the direction of the file until all of
// it has.
func (k *killing) fileEnd() int64 {
	const hello, size, answer = 1, 4, 1
	if k.upload {
		request := fmt.Sprintf(`{"type":"upload-request","letter":{"file_size":%d,"destination_path":"x"}}`, len(k.data))
		return int64(hello + size + len(request) + answer + (len(k.data)+killChunk-1)/killChunk*size + len(k.data))
	}
	offer := offerText(strconv.Itoa(len(k.data)))
	return int64(hello + answer + size + len(offer) + answer + 2*size + len(k.data))
}

// kill copies a file until n bytes were moved, and sends the victim a signal.
func (k *killing) kill(t *testing.T, n int64, sig syscall.Signal) {
	t.Helper()
	sourceDir, destDir := k.directories()
	write(t, filepath.Join(destDir, "x"), []byte("old"))
	if k.running == nil {
		k.running, k.address = k.server.serve(t, k.root)
	}
	r := startRelay(t, k.address)
	defer r.close()
	reached, release := r.hold(k.upload, n)

	client := k.copyThrough(t, r, k.flags()...)
	victim, survivor := client, k.running
	if k.killServer {
		victim, survivor = k.running, client
	}
	select {
	case <-reached:
	case <-time.After(bound):
		t.Fatalf("%d bytes were not reached: status %d, stderr %q", n, client.wait(t, 0), client.stderr.String())
	}
	began := time.Now()
	victim.signal(t, sig)
	victim.wait(t, soon)
	release()
	k.served++
	status := 1
	if k.killServer {
		k.expectServer(t, victim, sig)
		status = k.expectClient(t, survivor)
		k.running, k.served = nil, 0
	} else {
		status = k.expectInterrupted(t, victim, sig)
		k.expectDisconnected(t)
	}
	if took := time.Since(began); took > soon {
		t.Errorf("the other end took %v to notice", took)
	}
	expectNames(t, sourceDir, "x")
	k.expectDestination(t, destDir, status, r.direction(k.upload).count())
	if t.Failed() {
		t.Fatalf("%v after %d bytes", sig, n)
	}
}

// flags are those of the client: an upload is to take several messages.
func (k *killing) flags() []string {
	switch {
	case !k.upload:
		return nil
	case k.client.name == goTPFT.name:
		return []string{"-chunk-size", strconv.Itoa(killChunk)}
	}
	return []string{"--chunk-size", strconv.Itoa(killChunk)}
}

// copyThrough starts the copy over a relay.
func (k *killing) copyThrough(t *testing.T, r *relay, flags ...string) *process {
	t.Helper()
	local, remote := filepath.Join(k.local, "x"), r.address+":x"
	if k.upload {
		return k.client.copy(t, local, remote, flags...)
	}
	return k.client.copy(t, remote, local, flags...)
}

// serveNext checks that the server serves the next client.
func (k *killing) serveNext(t *testing.T) {
	t.Helper()
	if k.running == nil {
		k.running, k.address = k.server.serve(t, k.root)
	}
	write(t, filepath.Join(k.local, "x"), contents(1000))
	k.client.copy(t, filepath.Join(k.local, "x"), k.address+":x").expectSuccess(t)
	k.client.copy(t, k.address+":x", filepath.Join(k.local, "y")).expectSuccess(t)
	expectFile(t, filepath.Join(k.local, "y"), contents(1000))
	expectNames(t, k.local, "x", "y")
	expectNames(t, k.root, "x")
}
