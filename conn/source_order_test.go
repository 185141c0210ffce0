package conn_test

import (
	"bytes"
	"testing"
	"testing/synctest"

	"github.com/tinyproto-go/tinyproto/conn"
)

// An answer proves that what was before it was read, but the Source hears of that first.
func TestFatesAreToldInOrderThoughAnAnswerOvertakesAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		late := lingering{nc, make(chan struct{}, 1)}
		c, p := greetPlayed(t, t.Context(), late, peer, nil)
		s := newShelf(t)
		attend(t, c, s)
		s.put(c, "first", "large", "")
		p.hears(offerOf(5)...)
		late.hold()
		p.says(ok)
		p.hears(append([]byte("first"), offerOf(5)...)...)
		p.says(tooLarge)
		synctest.Wait()
		s.check()
		late.release()
		p.hears(offerOf(0)...)
		p.says(ok)
		synctest.Wait()
		s.check("first", "large: too large", "")
	})
}

// lingering is a transport whose writes do not return for a while.
type lingering struct {
	*memConn
	held chan struct{} // cap 1: full while they don't
}

func (w lingering) hold()    { w.held <- struct{}{} }
func (w lingering) release() { <-w.held }

func (w lingering) Write(p []byte) (int, error) {
	n, err := w.memConn.Write(p)
	w.hold()
	w.release()
	return n, err
}

func TestInPipelinedModeAWindowIsFetchedAtOnceInOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 0) // what is written together is read together
		theirs := generous
		theirs.WindowMessages, theirs.WindowBytes = 4, 10
		st := newPipelined(t, nc, peer, conn.Options{PeerTimeout: -1}, theirs)
		s := newShelf(t, "1", "2", "3", "4", "five", "six", "seven", "eight", "nine")
		attend(t, st.c, s)
		st.c.Notify()
		for _, c := range []struct {
			hears   []string
			answers int
			waiting int
		}{
			{hears: []string{"1", "2", "3", "4"}, answers: 2, waiting: 5},
			{hears: []string{"five", "six"}, answers: 1, waiting: 3},
			{hears: nil, answers: 2, waiting: 2}, // seven was fetched, and does not fit yet
			{hears: []string{"seven"}, answers: 2, waiting: 1},
			{hears: []string{"eight", "nine"}, answers: 2, waiting: 0},
		} {
			synctest.Wait()
			waiting, _ := s.state()
			got := make([]byte, 1<<10)
			n := 0
			if want := dataOf(c.hears...); len(want) > 0 {
				n, _ = peer.Read(got)
				if !bytes.Equal(got[:n], want) {
					t.Errorf("one write is %q, expected %q", got[:n], want)
				}
			}
			if waiting != c.waiting {
				t.Errorf("%d wait after %q, expected %d", waiting, c.hears, c.waiting)
			}
			st.peer.says(times(c.answers, ok)...)
		}
		synctest.Wait()
		s.check("1", "2", "3", "4", "five", "six", "seven", "eight", "nine")
	})
}

func TestAFetchedMessageWhoseOfferIsVoidIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := memPair(t, 1<<10)
		c, p := greetPlayed(t, t.Context(), nc, peer, nil)
		s := newShelf(t)
		attend(t, c, s)
		s.put(c, "void at first", "another")
		p.hears(offerOf(13)...)
		p.says(request...)
		p.hears(append([]byte{ok}, termsOf(conn.Options{})...)...)
		p.says(generous.Append(nil)...)
		p.hears(dataOf("void at first", "another")...)
		p.says(ok, ok)
		synctest.Wait()
		s.check("void at first", "another")
	})
}
