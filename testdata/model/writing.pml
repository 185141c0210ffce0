/* What one end writes, and what becomes of its messages: rules R1, R2, R4 and R5
 * of wire/PROTOCOL.md section 5. */

byte size[2], id[2];	/* the message in hand: taken from the Outbox, not yet written */
bit  busy[2];		/* there is one */
bit  finishing[2];	/* its payload is in out */
bit  holding[2];	/* a message waits for room in the Inbox */
byte held[2];
bit  ended[2];		/* our end of stream is written, or in out */
bit  peerEnded[2];
bit  left[2];		/* the reader has left */

byte sent[2];		/* how many messages were wholly written, modulo MODULUS */

#ifdef GO
bit  writing[2];	/* what was composed is not known to be written; Go: conn.batch */
bit  completes[2];	/* it is the OK to an empty message, which is complete then */
bit  paid[2];		/* the message in hand is empty, and accepted: no more is to be written */
#define idle(e) (!writing[e])
#else
#define idle(e) empty(out[e])
#endif

inline forget(e) {
	busy[e] = 0;
	size[e] = 0;
	id[e] = 0;
	result(e)
}

/* With an Inbox without a buffer, a message is received or not at all. */
#if INBOX == 0
#define room(e) (wants[e] && len(inbox[e]) == 0)
#else
#define room(e) (len(inbox[e]) < INBOX)
#endif

inline deliver(e, i) {
	require(!holding[e], overrun);
#if defined(GO) && !defined(DROP_R6_INBOX)
	if
	:: room(e) -> inbox[e]!i			/* Go: conn.Conn.deliver */
	:: else -> holding[e] = 1; held[e] = i
	fi
#else
	holding[e] = 1;
	held[e] = i
#endif
}

#define drained(e) (!busy[e] && !finishing[e] && len(outbox[e]) == 0)	/* Go: conn.Conn.drained */

/* Once there is nothing left to send, nothing more is accepted. Go: conn.Conn.verdict */
#define accepts(e) (L[e].theirSize != HUGE && !holding[e] && !peerEnded[e] && \
	!(state[e] != OPEN && drained(e)))
#define refuses(e) (L[e].theirSize == HUGE)

#if defined(DROP_R4)		/* holds the answer for ever */
#define conflicts(e) false
#elif defined(DROP_R4_REASON)	/* says CONFLICT though nothing stands behind the answer */
#define conflicts(e) (!accepts(e))
#else
#define conflicts(e) (!accepts(e) && L[e].debt1 == PAYMENT)
#endif

#ifdef DROP_R2			/* pays the payload before the answer that is held */
#define paysFirst(e) (L[e].debt0 == ANSWER && L[e].debt1 == PAYMENT && !accepts(e) && !refuses(e))
#else
#define paysFirst(e) false
#endif

#define mayPay(e) (L[e].debt0 == PAYMENT || paysFirst(e) || \
	L[e].debt0 == ANSWER && (refuses(e) || accepts(e) || conflicts(e)))

/* completeEmpty: whoever makes the note of an empty payload completes it. R3.
 * Go: conn.Conn.completeEmpty */
inline completeEmpty(e) {
#ifdef DROP_R3_MAKER
	skip
#else
	if
	:: emptyIsDue(e) ->
		completed(e);
		arrive(e, L[e].theirID)
	:: else
	fi
#endif
}

/* pay pays the oldest debt, if that is possible. Go: wire.Ledger.Next, conn.Conn.compose */
inline pay(e) {
	if
	:: L[e].debt0 == PAYMENT || paysFirst(e) ->		/* R2. Go: wire.Ledger.Next */
		if
		:: L[e].debt0 == PAYMENT -> settleDebt(e)
		:: else -> L[e].debt1 = NOTHING
		fi;
#ifdef GO
		finishing[e] = !paid[e];
		paid[e] = 0;
#else
		finishing[e] = 1;
#endif
		if
		:: size[e] == FULL ->
			out[e]!PAYLOAD(0, id[e]);
#ifdef DROP_R2_INSIDE		/* writes a size inside a payload */
			out[e]!SIZE(EMPTY, 0);
#endif
#if PIECES == 2
			out[e]!PAYLOAD(0, id[e])
#endif
		:: else
		fi;
		L[e].mine = NO_OFFER;
		busy[e] = 0;
		size[e] = 0;
		id[e] = 0
	:: L[e].debt0 == ANSWER && refuses(e) ->		/* Go: wire.Ledger.Next */
		settleDebt(e);
		L[e].theirs = NO_OFFER;
		L[e].theirSize = 0;
		out[e]!TOO_LARGE(0, 0)
	:: L[e].debt0 == ANSWER && accepts(e) ->		/* R3. Go: wire.Ledger.Next */
		saw((L[e].debt1 == PAYMENT -> SAW_ROOM_BEHIND : 0));
		settleDebt(e);
		L[e].theirs = ACCEPTED;
		L[e].receiving = 1;
		note(e, PAYMENT);
		out[e]!OK(0, 0);
#ifdef GO			/* it is complete as soon as the peer can know */
		completes[e] = (L[e].theirSize == EMPTY)		/* Go: conn.Conn.compose */
#else
		saw((emptyIsDue(e) -> SAW_MAKER_COMPLETES : 0));
		completeEmpty(e)
#endif
	:: L[e].debt0 == ANSWER && conflicts(e) && !accepts(e) && !refuses(e) && !paysFirst(e) ->
		settleDebt(e);					/* R4. Go: wire.Ledger.Next */
		L[e].theirs = NO_OFFER;
		L[e].theirSize = 0;
		out[e]!CONFLICT(0, 0)
	fi
}

#ifdef DROP_R1			/* offers the next message while one is not settled */
#define mayOffer(e) (!L[e].defer && !peerEnded[e] && L[e].note1 == NOTHING)
#else
#define mayOffer(e) (L[e].mine == NO_OFFER && !L[e].defer && !peerEnded[e])
#endif

inline offer(e) {		/* R3. Go: wire.Ledger.Offer */
	L[e].mine = UNANSWERED;
#ifndef DROP_R3_BEFORE
	note(e, ANSWER);
#endif
	out[e]!SIZE(size[e], id[e]);
#if SIZE_PIECES == 2
	out[e]!REST(size[e], id[e])
#endif
}

#ifdef DROP_R1
#define mayFetch(e) (len(outbox[e]) > 0 && (!busy[e] || L[e].mine == UNANSWERED))
#else
#define mayFetch(e) (len(outbox[e]) > 0 && !busy[e])
#endif

inline fetch(e) {		/* Go: conn.Conn.pick */
	outbox[e]?size[e], id[e];
	busy[e] = 1
}

/* written is the end of a write. Go: conn.Conn.written */
inline written(e) {
	if
	:: finishing[e] ->					/* Go: conn.Conn.sent */
		finishing[e] = 0;
		sent[e] = (sent[e] + 1) % MODULUS;
		result(e)
	:: else
	fi;
#ifdef GO
	writing[e] = 0;
	if
	:: completes[e] ->
		completes[e] = 0;
		saw((emptyIsDue(e) -> SAW_MAKER_COMPLETES : 0));
		completeEmpty(e)
	:: else
	fi
#endif
}
