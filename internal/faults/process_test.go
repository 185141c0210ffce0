//go:build unix

package faults

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/tinyproto-go/tinyproto/conn"
)

func TestAKilledClientCostsNobodyElseARequest(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode conn.Mode) {
		s := newScene(t, mode, serverOrders{})
		kills := 0
		for ; kills == 0 || s.goesOn(); kills++ {
			victim := s.client(clientOrders{Largest: 1 << 20, Pause: time.Nanosecond})
			s.waitFor("the victim's connections", func() bool { return victim.asks().Replied > 0 })
			s.sometime(50 * time.Millisecond)
			victim.kill()
		}
		s.waitFor("the server to be rid of the killed", func() bool {
			return s.server.asks().Open == otherProcesses*otherConns
		})
		r := s.ends()
		s.figures(fmt.Sprintf("%d kills of a client with %d connections, of which the server noticed %v", kills, otherConns, r.Ends))
		for name := range r.Ends {
			if name != "reset" && name != "incomplete" && name != "unsent" {
				t.Errorf("the server ended connections with %q", name)
			}
		}
	})
}

func TestAKilledServerLosesOnlyTheRequestsInProgress(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode conn.Mode) {
		s := newScene(t, mode, serverOrders{})
		for _, c := range s.others { // all are hit here
			noticedNothing(t, "a client", c.ends(), otherConns)
		}
		clients := []*process[clientReport]{
			s.client(clientOrders{Redial: true}),
			s.client(clientOrders{Redial: true, Largest: 1 << 20}),
		}
		kills := int64(0)
		var hit []clientReport
		for ; kills == 0 || s.goesOn(); kills++ {
			for _, c := range clients {
				s.isServed(c, otherConns)
			}
			s.sometime(50 * time.Millisecond)
			s.server.kill()
			s.sometime(20 * time.Millisecond)
			s.server = start[serverReport](t, "", "server", serverOrders{Address: s.address})
			s.server.asks()
		}
		for _, c := range clients {
			s.isServed(c, otherConns) // by the last one
			r := c.ends()
			accounts(t, r, kills*otherConns,
				"reset", "incomplete", "ended by the peer", // while asking
				"nobody listens", "refused", "mode refused") // while dialling
			hit = append(hit, r)
			t.Logf("connections ended with %v", r.Ends)
		}
		if r := s.server.ends(); len(r.Ends) > 0 {
			t.Errorf("connections with the last server ended with %v", r.Ends)
		}
		s.figures(fmt.Sprintf("%d kills of the server of %d connections", kills, len(clients)*otherConns), hit...)
	})
}

func TestAStoppedClientHoldsUpNobodyAndGoesOn(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode conn.Mode) {
		s := newScene(t, mode, serverOrders{})
		victim := s.client(clientOrders{Largest: 1 << 20, Pause: time.Nanosecond})
		stops := 0
		for ; stops == 0 || s.goesOn(); stops++ {
			s.waitFor("the victim's replies", func() bool { return victim.asks().Replied > 0 })
			s.sometime(20 * time.Millisecond)
			victim.signal(syscall.SIGSTOP)
			s.othersAreServed()
			s.sometime(100 * time.Millisecond)
			victim.signal(syscall.SIGCONT)
		}
		hit := victim.ends()
		noticedNothing(t, "the stopped one", hit, otherConns)
		if r := s.ends(); len(r.Ends) > 0 {
			t.Errorf("connections ended with %v", r.Ends)
		}
		s.figures(fmt.Sprintf("%d stops of a client", stops), hit)
	})
}

func TestAClientThatIsStoppedForTooLongAmidAMessageIsAStall(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode conn.Mode) {
		s := newScene(t, mode, serverOrders{StallTimeout: 1500 * time.Millisecond})
		const conns = 4
		victim := s.client(clientOrders{Trickle: true, Largest: 150, Conns: conns, Redial: true})
		s.waitFor("the victim's requests", func() bool { return victim.asks().Sent >= conns })
		stalls := func() int64 {
			ends := s.server.asks().Ends
			return ends["stall: reading"] + ends["stall: writing"]
		}
		for late := time.Now().Add(patience); stalls() == 0; { // all may have been between messages
			if time.Now().After(late) {
				t.Fatal("the server does not notice")
			}
			s.sometime(200 * time.Millisecond)
			victim.signal(syscall.SIGSTOP)
			for again := time.Now().Add(3 * time.Second); stalls() == 0 && time.Now().Before(again); {
				s.othersAreServed()
			}
			victim.signal(syscall.SIGCONT)
		}
		s.isServed(victim, 1)
		hit := victim.ends()
		accounts(t, hit, 2*conns, "reset", "incomplete", "ended by the peer")
		s.figures(fmt.Sprintf("a client stopped for too long, of which the server noticed %v", s.ends().Ends), hit)
	})
}

func TestAStoppedServerLosesNothing(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode conn.Mode) {
		s := newScene(t, mode, serverOrders{})
		stops := 0
		for ; stops == 0 || s.goesOn(); stops++ {
			s.sometime(50 * time.Millisecond)
			s.server.signal(syscall.SIGSTOP)
			s.sometime(100 * time.Millisecond)
			s.server.signal(syscall.SIGCONT)
		}
		if r := s.ends(); len(r.Ends) > 0 { // all of them noticed nothing
			t.Errorf("connections ended with %v", r.Ends)
		}
		s.figures(fmt.Sprintf("%d stops of the server", stops))
	})
}

func TestAServerWithoutDescriptorsServesThoseItHasAndRecovers(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode conn.Mode) {
		const files, flood = 48, 60
		for name, greeting := range map[string][]byte{"by silent peers": nil, "by peers that greet": {0xff}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, mode, serverOrders{MaxFiles: files})
				var held []net.Conn
				release := func() {
					for _, nc := range held {
						nc.Close()
					}
				}
				defer release()
				for range flood {
					nc, err := net.Dial("tcp", s.address)
					if err != nil {
						t.Fatal(err)
					}
					nc.Write(greeting)
					held = append(held, nc)
				}
				s.waitFor("the server to run out of descriptors", func() bool { return s.server.asks().AcceptFailures > 0 })
				s.othersAreServed()
				newcomer := s.client(clientOrders{Conns: 1})
				if greeting != nil {
					release() // the others make room for who comes after them
				}
				s.isServed(newcomer, 1)
				noticedNothing(t, "the newcomer", newcomer.ends(), 1)
				r := s.ends()
				s.figures(fmt.Sprintf("%d failures to accept, %d connections beyond the descriptors", r.AcceptFailures, flood))
			})
		}
	})
}
