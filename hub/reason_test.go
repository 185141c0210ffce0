package hub_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyproto-go/tinyproto/hub"
)

func TestTheReasonOfALeftIsWhatEndedTheConnection(t *testing.T) {
	eachMode(t, testTheReasonOfALeftIsWhatEndedTheConnection)
}

func testTheReasonOfALeftIsWhatEndedTheConnection(t *testing.T) {
	t.Run("not a Close that comes after its end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := start(t, nil)
			m, peer := joinPipe(t, h)
			if e := <-h.Events(); e.Kind != hub.Joined {
				t.Fatalf("first event: %v", e.Kind)
			}
			go peer.Send(t.Context(), []byte("last words")) // ends with the receive below
			synctest.Wait()
			sayBye(peer)
			synctest.Wait()
			m.Close(nil)
			time.Sleep(time.Minute) // longer than any grace
			for e := range h.Events() {
				if e.Kind == hub.Left {
					if e.Err != nil || m.Err() != nil {
						t.Errorf("Left with %v, Err %v; expected nil, as the peer ended cleanly", e.Err, m.Err())
					}
					return
				}
			}
		})
	})
	t.Run("the grace period, if what was accepted could not be handed on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := start(t, nil)
			m, peer := joinPipe(t, h)
			<-h.Events()
			for range 2 { // one is in the hub's hands, the other in the connection's
				sent := make(chan error, 1)
				go func() { sent <- peer.Send(context.Background(), []byte("accepted")) }() // ends with the connection
				synctest.Wait()
				select {
				case err := <-sent:
					if err != nil {
						t.Fatal(err)
					}
				default:
					if !inPipelined() { // where the second one is not answered before it is taken
						t.Fatal("a message was not accepted")
					}
				}
			}
			m.Leave()
			time.Sleep(time.Minute)
			for e := range h.Events() {
				if e.Kind == hub.Left {
					if e.Err == nil {
						t.Error("Left without an error, although a message was lost")
					}
					return
				}
			}
		})
	})
}

func TestBroadcastWhereMayUseTheHub(t *testing.T) { eachMode(t, testBroadcastWhereMayUseTheHub) }

func testBroadcastWhereMayUseTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, nil)
		go drain(h) // ends with the hub
		m, peer := joinPipe(t, h)
		joinPipe(t, h)
		m.Enter("room")
		n, err := h.BroadcastWhere(t.Context(), []byte("hello"), func(m *hub.Member) bool { return m.In("room") })
		if n != 1 || err != nil {
			t.Errorf("sent to %d, %v; expected 1", n, err)
		}
		if msg, err := peer.Receive(t.Context()); err != nil || string(msg) != "hello" {
			t.Errorf("received %q, %v", msg, err)
		}
	})
}
