/* The two processes of an end in pipelined mode, and how it ends. */

/* breaksOff: nothing more is written. What is not answered is unsent. */
inline breaksOff(e) {
	stopTaking(e);
	broken[e] = 1;
	do
	:: len(out[e]) > 0 -> out[e]?_, _, _
	:: else -> break
	od
}

/* All is said: both have said BYE, and all is answered. Go: wire.Pipeline.End */
#define allSaid(e) (S[e].saidBye && S[e].count == 0 && R[e].saidBye && R[e].count == 0)

/* peerEnds: the stream of the peer is over. Before all is said, the peer takes no
 * more, and what is unanswered is unsent. Go: conn.Conn.readFailed */
inline peerEnds(e) {
	peerEnded[e] = 1;
#if QUITS_A || QUITS_B
	if
	:: allSaid(e) || ended[e] -> skip
	:: else ->
		require(R[e].rest == 0 && (R[e].saidBye && R[e].count == 0 || quit[e]), protocol);
		saw((S[e].count == 0 && drained(e) -> SAW_NOTHING_MISSING : SAW_UNANSWERED_END));
		breaksOff(e)
	fi
#elif defined(DROP_END_ANSWERED)
	require(R[e].rest == 0 && R[e].saidBye && S[e].saidBye && S[e].count == 0, protocol)
#else
	require(R[e].rest == 0 && allSaid(e), protocol)
#endif
}

/* After its end of stream, an end that takes no more hears nothing more. */
#define deaf(e) (ended[e] && quit[e])

#ifdef DROP_BYE_LAST		/* says BYE with messages still to be sent */
#define mayBye(e) (state[e] == DRAINING && !S[e].saidBye)
#define silent(e) false
#elif defined(DROP_BYE_ONCE)	/* and again */
#define mayBye(e) (state[e] == DRAINING && drained(e) && !ended[e])
#define silent(e) S[e].saidBye
#else
#define mayBye(e) (state[e] == DRAINING && drained(e) && !S[e].saidBye)
#define silent(e) S[e].saidBye
#endif

/* An end that takes no more messages answers those that the application was
 * handed, and leaves the others unanswered, so that the peer knows. */
#ifdef DROP_QUIT		/* answers all first, though nobody takes them */
#define takesNoMore(e) false
#elif defined(DROP_QUIT_ANSWERS)	/* or none any more */
#define takesNoMore(e) quit[e]
#else
#define takesNoMore(e) (quit[e] && empty(answers[e]))
#endif

#if defined(DROP_END_BYE)	/* ends without the peer's BYE */
#define mayEnd(e) (S[e].saidBye && S[e].count == 0 && R[e].count == 0)
#elif defined(DROP_END_ANSWERS)	/* ends without having answered all */
#define mayEnd(e) (S[e].saidBye && S[e].count == 0 && R[e].saidBye)
#elif defined(DROP_END_ANSWERED) /* ends though answers to it are due: harmless */
#define mayEnd(e) (S[e].saidBye && R[e].saidBye && R[e].count == 0 && empty(answers[e]))
#else				/* Go: conn.Conn.halfClose */
#define mayEnd(e) (allSaid(e) && empty(answers[e]) || S[e].saidBye && S[e].count == 0 && takesNoMore(e) || broken[e])
#endif

#if defined(DROP_LINGER) || defined(PIPE)	/* closes without waiting for the peer's end */
#define mayClose(e) (ended[e] && state[e] != OVER)
#else
#define mayClose(e) (ended[e] && peerEnded[e] && state[e] != OVER)
#endif

/* What a transport that can't half-close may lose when it is closed: nothing
 * depends on it. */
#define idleTalk(k) (k == PING || k == PONG || k == END)

/* close: with input unread, or still to come, a transport would reset the
 * connection. What is left is unsent: exactly what the peer's application was
 * not handed. Go: conn.Conn.terminate, conn.Conn.settlePipelined */
inline close(e) {
	state[e] = OVER;
	closed[e] = 1;
#ifdef PIPE
	do
	:: len(wire[other]) > 0 -> wire[other]?k, _, _; require(idleTalk(k), reset)
	:: else -> break
	od;
	k = 0;
#else
	require(len(wire[other]) == 0, reset);
#endif
	saw((len(asked[e]) > 0 -> SAW_UNSENT : 0));
	require((put[other] + len(asked[e]) + busy[e] + len(outbox[e])) % MODULUS == handed[e], order);
	do
	:: len(asked[e]) > 0 -> asked[e]?_, _
	:: else -> break
	od;
	do
	:: len(outbox[e]) > 0 -> outbox[e]?_, _
	:: else -> break
	od;
	do
	:: len(arrived[e]) > 0 -> arrived[e]?_, _
	:: else -> break
	od;
	busy[e] = 0;
	size[e] = 0;
	id[e] = 0;
	result(e)
}

#if defined(DROP_READER_INBOX)	/* the reader waits for room in the Inbox */
#define readerReady(e) (len(arrived[e]) == 0)
#elif defined(DROP_READER_WRITES)	/* the reader waits for the writes of its end */
#define readerReady(e) (len(out[e]) == 0)
#else
#define readerReady(e) true
#endif

/* No more will come. */
#define mayCloseInbox(e) (R[e].saidBye && len(arrived[e]) == 0)

inline closeInbox(e) {		/* Go: conn.Conn.closeInbox */
	if
	:: mayCloseInbox(e) -> closed[e] = 1
	:: else
	fi
}

/* The reader never waits for the application, nor for a write. Go:
 * conn.Conn.readPipelined */
proctype reader(bit e) {
	mtype k;
	byte s, i;
IDLE:	do
	:: atomic { readerReady(e) && nempty(wire[other]) && state[e] != OVER ->
		wire[other]?k, s, i;
		if
		:: deaf(e) && k != END -> skip
		:: else -> parse(e)
		fi;
		s = 0; i = 0;
#ifdef GO
		do
		:: mayHandOver(e) -> handOver(e)
		:: else -> break
		od;
		closeInbox(e);
#endif
		if
		:: k == END -> break
		:: else -> k = 0
		fi
	   }
	:: atomic { state[e] == OVER -> break }
	od
}

#ifdef DROP_ONE_PING		/* sends a PING while one is pending */
#define mayPing(e) (pings[e] < PINGS)
#else
#define mayPing(e) (pings[e] < PINGS && !S[e].pinged)
#endif

#define mayPong(e) (R[e].pinged && !ended[e])

inline pong(e) {		/* Go: wire.Pipeline.Pong */
	out[e]!PONG(0, 0);
	R[e].pinged = 0
}

inline bye(e) {			/* Go: wire.Pipeline.Bye */
	out[e]!BYE(0, 0);
	S[e].saidBye = 1
}

#ifdef GO
#define inboxReady(e) true
#else
#define inboxReady(e) empty(out[e])
#endif

#ifdef DROP_WRITER_INBOX	/* the writer waits for room in the Inbox */
#define idle(e) (empty(out[e]) && len(arrived[e]) == 0)
#else
#define idle(e) (empty(out[e]))
#endif

/* The writer does all that may wait for the transport or the application. Go:
 * conn.Conn.write, conn.Conn.flush */
proctype writer(bit e) {
	mtype k;
	byte s, i;
IDLE:	do
	:: atomic { nempty(out[e]) && nfull(wire[e]) ->
		out[e]?k, s, i;
#ifdef PIPE
		if
		:: state[other] == OVER -> require(idleTalk(k), reset)
		:: else -> wire[e]!k, s, i
		fi;
#else
		require(state[other] != OVER, reset);
		wire[e]!k, s, i;
#endif
#ifdef DROP_COUNT_FIRST		/* counts an answer as given when it is written */
	   }
	   atomic {
		if
		:: k == OK || k == TOO_LARGE -> counts(e, s)
		:: else
		fi;
#endif
		k = 0; s = 0; i = 0
	   }
	:: atomic { inboxReady(e) && mayHandOver(e) -> handOver(e) }
#ifdef GO				/* Go: conn.Conn.composePipelined */
	:: atomic { idle(e) && !broken[e] && !ended[e] && (mayAnswer(e) || mayFetch(e) || maySend(e) || mayPong(e) || mayBye(e)) ->
		answer(e);
		if
		:: mayPong(e) -> pong(e)
		:: else
		fi;
		do
		:: mayFetch(e) -> outbox[e]?size[e], id[e]; busy[e] = 1
		:: maySend(e) -> saw((len(out[e]) > 0 && S[e].count > 0 -> SAW_MANY_MESSAGES : 0)); send(e)
		:: else -> break
		od;
		if
		:: mayBye(e) -> bye(e)
		:: else
		fi
	   }
#else
	:: atomic { idle(e) && !broken[e] && mayAnswer(e) -> answer(e) }
	:: atomic { idle(e) && !broken[e] && mayFetch(e) -> outbox[e]?size[e], id[e]; busy[e] = 1 }
	:: atomic { idle(e) && !broken[e] && maySend(e) -> send(e) }
	:: atomic { idle(e) && !broken[e] && mayPong(e) -> pong(e) }
	:: atomic { idle(e) && !broken[e] && mayBye(e) -> bye(e) }
#endif
	:: atomic { idle(e) && !broken[e] && !ended[e] && mayPing(e) ->	/* Go: wire.Pipeline.MayPing */
		out[e]!PING(0, 0);
		S[e].pinged = 1;
		pings[e]++
	   }
	:: atomic { empty(out[e]) && !ended[e] && mayEnd(e) -> out[e]!END(0, 0); ended[e] = 1 }
	:: atomic { !closed[e] && mayCloseInbox(e) -> closed[e] = 1 }
#if QUITS_A && QUITS_B		/* both have stopped receiving: only time ends that */
	:: atomic { timeout && quit[e] && !broken[e] && !ended[e] ->
		saw(SAW_GRACE);
		breaksOff(e)
	   }
#endif
	:: atomic { empty(out[e]) && mayClose(e) -> close(e); break }
	od
}
