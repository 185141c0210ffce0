package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAClientThatStallsIsGivenUpAndHoldsUpNobody(t *testing.T) {
	server := startServer(t, "-timeout", "300ms")
	write(t, server.path("x"), []byte("old"))
	data := contents(1 << 20)
	write(t, server.path("big"), data)
	stalls := map[string]func(*rawPeer){
		"without a request": func(p *rawPeer) {},
		"before a chunk":    func(p *rawPeer) { p.message(uploadText("5")); p.expectMessage(confirmedText) },
		"inside a chunk": func(p *rawPeer) {
			p.message(uploadText("5"))
			p.expectMessage(confirmedText)
			p.write([]byte{0, 0, 0, 5})
			p.expect([]byte{0xff})
			p.write([]byte("123"))
		},
		"before it accepts an answer": func(p *rawPeer) { p.message(uploadText("5")) },
		"before it confirms a download": func(p *rawPeer) {
			p.message(`{"type":"download-request","letter":{"download_path":"x"}}`)
			p.receive()
		},
		"before it accepts a chunk": func(p *rawPeer) {
			p.message(`{"type":"download-request","letter":{"download_path":"x"}}`)
			p.receive()
			p.message(confirmedText)
		},
		"before it agrees on where to go on": func(p *rawPeer) {
			p.message(`{"type":"upload-request","letter":{"file_size":5,"destination_path":"x","resume":true}}`)
			p.receive()
		},
	}
	peers := map[string]*rawPeer{}
	for name, stall := range stalls {
		peers[name] = connect(t, server.address)
		stall(peers[name])
	}
	began := time.Now()
	back := filepath.Join(t.TempDir(), "back")
	succeed(t, server.remote("big"), back)
	expectFile(t, back, data)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("another client's download took %v", took)
	}
	for name, p := range peers {
		line := server.expectDisconnected(t, p)
		if !strings.Contains(line, "the peer was silent for 300ms") && !strings.Contains(line, "peer stalled: no progress for 300ms") {
			t.Errorf("%s: the server said %q", name, line)
		}
	}
	expectNames(t, server.root, "big", "x")
	expectFile(t, server.path("x"), []byte("old"))
}

func TestAClientThatIsSlowButSteadyIsNotGivenUp(t *testing.T) {
	server := startServer(t, "-timeout", "300ms")
	p := connect(t, server.address)
	p.message(uploadText("12"))
	p.expectMessage(confirmedText)
	for range 2 { // each chunk takes longer than the timeout
		p.write([]byte{0, 0, 0, 6})
		p.expect([]byte{0xff})
		for range 6 {
			<-time.After(100 * time.Millisecond) // is what is tested
			p.write([]byte("a"))
		}
	}
	p.expectMessage(confirmedText)
	expectFile(t, server.path("x"), []byte(strings.Repeat("a", 12)))
}
