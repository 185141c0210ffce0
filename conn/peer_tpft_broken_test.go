package conn_test

import (
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestATpftPeerCanDieOrStallAmidAFile(t *testing.T) {
	var running sync.WaitGroup
	defer running.Wait()
	for _, verb := range []string{"put", "get"} {
		for _, at := range []string{"client", "server"} {
			for _, fault := range []string{"--die-after", "--stall-after"} {
				running.Go(func() {
					t.Run(strings.Join([]string{verb, at, fault}, " "), func(t *testing.T) { breakOff(t, verb, at, fault) })
				})
			}
		}
	}
}

// breakOff has one end break off a copy in the middle of the second message
// of a put, or of the only one of a get.
func breakOff(t *testing.T, verb, at, fault string) {
	const content, moved, chunk = "0123456789", 6, 4
	local, remote := filepath.Join(t.TempDir(), "file"), t.TempDir()
	options := map[string][]string{at: {fault, strconv.Itoa(moved)}}
	server, addr := serveScript(t, "tpft.py", append(options["server"], "--dir", remote)...)
	p, d, destination := startTap(t, addr), newDialogue(), local
	if verb == "put" {
		write(t, "", local, []byte(content))
		options["client"] = append(options["client"], "--chunk-size", strconv.Itoa(chunk))
		destination = filepath.Join(remote, "file")
		d.say(c2s, uploadRequest(len(content), "file"))
		d.say(s2c, confirmed)
		d.say(c2s, content[:chunk])
		d.sayUntil(moved-chunk, c2s, content[chunk:2*chunk])
	} else {
		write(t, remote, "file", []byte(content))
		d.say(c2s, downloadRequest("file"))
		d.say(s2c, downloadConfirmation(len(content)))
		d.say(c2s, confirmed)
		d.sayUntil(moved, s2c, content)
	}
	client := startPython(t, "", tpftArgs(verb, p.addr, local, "file", options["client"]...)...)
	faulty, other := client, server
	if at == "server" {
		faulty, other = server, client
	}
	if fault == "--stall-after" {
		if line := faulty.line(t); line != "stalled" {
			t.Errorf("it printed %q", line)
		}
		select {
		case <-p.done:
			t.Error("the connection ended")
		default:
		}
		faulty.cmd.Process.Kill()
	}
	faulty.cmd.Wait()
	if status := faulty.cmd.ProcessState.ExitCode(); fault == "--die-after" && status != 3 {
		t.Errorf("it ended with status %d", status)
	}
	if (verb == "put") == (at == "client") { // it was the sender
		d.check(t, p)
	} else {
		checkFile(t, destination, []byte(content[:moved]))
	}
	if other == server { // it serves others
		c := dialPeer(t, addr, nil)
		play(t, c, c2s, []string{"C->S " + closing})
		checkError(t, c.Shutdown(t.Context()))
		return
	}
	other.cmd.Wait()
	if status := other.cmd.ProcessState.ExitCode(); status != 1 {
		t.Errorf("the client ended with status %d", status)
	}
	if verb == "get" {
		checkFile(t, destination, nil)
	}
}
