/* Credits of pipelined mode: what an end may send, and what it makes of what
 * arrives. */

#ifdef DROP_WINDOWS		/* neither end minds the window */
#define fits(e, s) true
#elif defined(DROP_BYTES_BOTH)	/* both mind the messages alone */
#define fits(e, s) (R[e].count < window(e))
#else				/* Go: wire.Pipeline.Parse */
#define fits(e, s) (R[e].count < window(e) && (R[e].count == 0 || R[e].units + s <= bytes(e)))
#endif

/* Payload in memory: the window, or one message that may be larger. */
#define memory(e) (bytes(e) > LARGE -> bytes(e) : LARGE)

/* complete: a message has arrived. One over the limit was not kept.
 * Go: conn.Conn.payload, conn.Conn.arrive */
inline complete(e) {
	require(len(arrived[e]) + len(answers[e]) < window(e), overrun);
	arrived[e]!R[e].size, R[e].id;
#ifdef DROP_HANDOVER		/* says OK as soon as a message has arrived */
	if
	:: R[e].size != HUGE -> answers[e]!OK(R[e].size)
	:: else
	fi;
#endif
#ifdef DROP_ANSWER_ORDER	/* refuses at once, ahead of the answers that are due */
	if
	:: R[e].size == HUGE -> answers[e]!TOO_LARGE(HUGE)
	:: else
	fi;
#endif
	R[e].size = 0;
	R[e].id = 0
}

/* parse takes k, of size s and, as only the model knows, of message i. A payload
 * may look like anything: nobody looks at it. Go: wire.Pipeline.Parse,
 * conn.Conn.parsePipelined */
inline parse(e) {
	if
	:: k == END -> peerEnds(e)
	:: k != END && R[e].rest > 0 ->
		require(k == PAYLOAD && i == R[e].id, misparse);
		R[e].rest--;
		if
		:: R[e].size != HUGE ->
			R[e].kept++;
			require(R[e].kept <= memory(e), overrun)
		:: else
		fi;
		if
		:: R[e].rest == 0 -> complete(e)
		:: else
		fi
	:: R[e].rest == 0 && k == SIZE ->
		require(!R[e].saidBye, protocol);
		require(fits(e, s), protocol);
		saw((S[e].saidBye -> SAW_REPLY_BEHIND : 0));
		R[e].count++;
		R[e].units = R[e].units + s;
		R[e].size = s;
		R[e].id = i;
		R[e].rest = s;
#ifdef DROP_SKIP		/* refuses a message, and expects no payload of it */
		if
		:: s == HUGE -> R[e].rest = 0
		:: else
		fi;
#endif
		if
		:: R[e].rest == 0 -> complete(e)
		:: else
		fi
	:: R[e].rest == 0 && (k == OK || k == TOO_LARGE) ->		/* Go: conn.Conn.answered */
		require(S[e].count > 0, protocol);
		asked[e]?s, i;
		require((s == HUGE) == (k == TOO_LARGE), protocol);
		if
		:: k == OK ->
			require(lead[other] > 0, handover);
			lead[other]--
		:: else -> saw(SAW_REFUSAL)
		fi;
#ifdef DROP_CREDIT		/* a refusal gives no credit back */
		if
		:: k == OK -> S[e].count--; S[e].units = S[e].units - s
		:: else
		fi;
#else
		S[e].count--;
		S[e].units = S[e].units - s;
#endif
		result(e)
	:: R[e].rest == 0 && k == PING ->
		require(!R[e].pinged, protocol);
		R[e].pinged = 1
	:: R[e].rest == 0 && k == PONG ->
		saw(SAW_PONG);
		require(S[e].pinged, protocol);
		S[e].pinged = 0;
		pongs[e]++
	:: R[e].rest == 0 && k == BYE ->
		saw((S[e].saidBye && S[other].count > 0 -> SAW_CROSSED_BYES : 0));
		require(!R[e].saidBye, protocol);
		R[e].saidBye = 1
	:: R[e].rest == 0 && k == PAYLOAD -> require(false, misparse)
	fi
}

/* counts: an answer is given, before it is written. Go: wire.Pipeline.Answer */
inline counts(e, s) {
	R[e].count--;
	R[e].units = R[e].units - s
}

/* handOver hands the oldest message to the application, or refuses it.
 * Go: conn.Conn.handOver, conn.Conn.handedOver */
inline handOver(e) {
	arrived[e]?s, i;
#ifdef GO
	counts(e, s);			/* Go: conn.Conn.answer */
#endif
	if
	:: s == HUGE ->
#ifndef DROP_ANSWER_ORDER
		answers[e]!TOO_LARGE(s)
#else
		skip
#endif
	:: else ->
		inbox[e]!i;
		put[e] = (put[e] + 1) % MODULUS;
		lead[e]++;
		R[e].kept = R[e].kept - s;
#ifndef DROP_HANDOVER
		answers[e]!OK(s)
#endif
	fi;
	s = 0; i = 0
}

/* mayHandOver: to refuse a message needs no room. */
#define mayHandOver(e) (len(arrived[e]) > 0 && !quit[e] && (arrived[e]?[HUGE, _] || room(e)))

/* answer writes all answers that are due. Go: conn.Conn.composePipelined */
inline answer(e) {
	saw((len(answers[e]) > 1 -> SAW_MANY_ANSWERS : 0));
	do
	:: len(answers[e]) > 0 ->
		answers[e]?k, s;
		out[e]!k(s, 0);
#if !defined(GO) && !defined(DROP_COUNT_FIRST)
		counts(e, s)
#endif
	:: else -> break
	od;
	k = 0; s = 0
}

#ifdef DROP_BYE_ANSWERS		/* after its BYE it answers no more */
#define mayAnswer(e) (nempty(answers[e]) && !ended[e] && !S[e].saidBye)
#else
#define mayAnswer(e) (nempty(answers[e]) && !ended[e])
#endif

#define mayFetch(e) (!busy[e] && nempty(outbox[e]))		/* Go: conn.Conn.pick */

#if defined(DROP_WINDOW) || defined(DROP_WINDOWS)	/* the sender minds no window */
#define covered(e) (len(asked[e]) < MOST)
#elif defined(DROP_BYTES) || defined(DROP_BYTES_BOTH)	/* it minds the messages alone */
#define covered(e) (S[e].count < window(other))
#elif defined(DROP_ALONE)	/* one larger than the window goes beside others */
#define covered(e) (S[e].count < window(other) && \
	(S[e].count == 0 || size[e] > bytes(other) || S[e].units + size[e] <= bytes(other)))
#else				/* Go: wire.Pipeline.MaySend, conn.Conn.fits */
#define covered(e) (S[e].count < window(other) && \
	(S[e].count == 0 || S[e].units + size[e] <= bytes(other)))
#endif
#define maySend(e) (busy[e] && covered(e) && !silent(e))

inline send(e) {		/* Go: conn.Conn.put, wire.Pipeline.Send */
	S[e].count++;
	S[e].units = S[e].units + size[e];
	saw((S[e].count == window(other) && window(other) > 1 -> SAW_WINDOW_FULL : 0));
	saw((S[e].units > bytes(other) -> SAW_LARGE_ALONE : 0));
	asked[e]!size[e], id[e];
	out[e]!SIZE(size[e], id[e]);
	s = size[e];
	do
	:: s > 0 ->
		out[e]!PAYLOAD(0, id[e]);
#ifdef DROP_WHOLE		/* writes an answer inside DATA */
		if
		:: len(answers[e]) > 0 -> answers[e]?k, i; out[e]!k(i, 0); counts(e, i)
		:: else
		fi;
#endif
		s--
	:: else -> break
	od;
	busy[e] = 0;
	size[e] = 0;
	id[e] = 0;
	k = 0; i = 0
}
