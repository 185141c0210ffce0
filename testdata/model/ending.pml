/* How one end ends: wire/PROTOCOL.md section 6. */

/* What the peer accepted and this end has not written, though it may be in out. */
#ifdef GO
#define owes(e) (L[e].mine == ACCEPTED && !paid[e])	/* Go: conn.Conn.owing */
#else
#define owes(e) (L[e].mine == ACCEPTED)
#endif

/* What the peer ended without: a payload that this end accepted, but for an empty
 * one that is complete as soon as the write of its OK returns. */
#ifdef GO
#define lacks(e) (L[e].theirs == ACCEPTED && !completes[e])
#else
#define lacks(e) (L[e].theirs == ACCEPTED)
#endif

/* peerEnds: the peer is between items, and owes nothing. What it accepted it
 * has to get; this end may have an offer without an answer. Go: conn.Conn.readFailed */
inline peerEnds(e) {
	require(!lacks(e), protocol);
	require(ended[e] || !L[e].half && L[e].theirs != UNANSWERED, protocol);
	require(ended[e] || !(L[e].mine == ACCEPTED && size[e] == FULL), protocol);
	saw((ended[e] && len(wire[e]) > 0 -> SAW_CROSSED_ENDS : 0));
	saw((L[e].mine == UNANSWERED -> SAW_UNANSWERED_END : 0));
	saw((L[e].mine == ACCEPTED -> SAW_OWED_AT_END : 0));
	peerEnded[e] = 1;
	stopTaking(e)
}

#ifdef DROP_END_ARRIVED		/* ends before what it accepted has arrived */
#define arrived(e) true
#else
#define arrived(e) (!L[e].receiving)
#endif

#define mayEnd(e) (state[e] == DRAINING && !ended[e] && !peerEnded[e] && drained(e) && \
	arrived(e) && L[e].mine == NO_OFFER)			/* Go: conn.Conn.halfClose */

#ifdef DROP_END_OWED		/* the peer's end is the end, whatever it was promised */
#define mayClose(e) (peerEnded[e] && state[e] != OVER)
#elif defined(DROP_END_LINGER)	/* closes without waiting for the peer's end */
#define mayClose(e) ((peerEnded[e] || ended[e]) && state[e] != OVER && !owes(e))
#else
#define mayClose(e) (peerEnded[e] && state[e] != OVER && !owes(e))
#endif

/* writes an item by itself. */
inline writes(e, item) {
#ifdef GO
	writing[e] = 1;
#endif
	out[e]!item(0, 0)
}

/* close: with input unread, a transport would reset the connection, which can
 * destroy what the peer has yet to read. Go: conn.Conn.terminate */
inline close(e) {
	state[e] = OVER;
	require(len(wire[other]) == 0, reset);
	do
	:: len(outbox[e]) > 0 -> outbox[e]?_, _			/* unsent */
	:: else -> break
	od;
	forget(e);						/* unsent, if it was there */
#ifdef GO
	paid[e] = 0;
#endif
	if
	:: ended[e] -> skip
	:: else -> ended[e] = 1; writes(e, END)
	fi
}

/* After our end of stream, only the peer's matters. */
#ifdef GO
#define deaf(e) ended[e]
#else
#define deaf(e) false
#endif
