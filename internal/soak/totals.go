package main

// totals are the sums that the summary shows.
type totals struct {
	up, down  flow              // of connections that both ends accounted for
	unheard   flow              // what clients sent to servers that were killed, and so can't say
	pairs     uint64            // connections accounted for by both ends
	orphans   uint64            // by the client alone, as the server was killed
	clients   map[string]uint64 // how their connections ended
	guests    map[string]uint64 // how the servers' did
	roles     map[string]uint64 // connections
	conflicts uint64            // of both ends
	greeted   map[string]uint64 // connections without a hello
}

// flow is what became of the messages that went one way.
type flow struct {
	handed, written, refused, failed, unsent, dropped, arrived, taken, left, inDoubt, bytes uint64
}

// add adds what from sent to to, which is nil if it can't say what arrived.
func (f *flow) add(from, to *account) {
	f.handed += from.Handed
	f.written += from.Written
	f.unsent += from.Unsent
	f.bytes += from.BytesSent
	if from.Member != nil {
		f.dropped += from.Handed - min(from.Handed, from.Written) // what is undelivered or refused, too
	} else {
		refused := min(from.Refused, from.Failed) // one whose Send was cancelled is unsent
		f.refused += refused
		f.failed += from.Failed - refused
	}
	if to == nil {
		return
	}
	f.arrived += to.Arrived
	f.taken += to.Taken
	f.left += to.left()
	if from.Written > to.Arrived {
		f.inDoubt += from.Written - to.Arrived
	}
}
