/* The ledger of one end: rules R1 to R5 of wire/PROTOCOL.md section 5.
 *
 * Comments name the Go function that does the same. classic.runs says how the
 * model is searched, README.md what it leaves out. A DROP_ macro breaks a rule:
 * each has to be found out. */

/* What an end writes, in pieces that arrive whole. Of a size, the first byte
 * says that it is one; REST is the other three, which may look like anything,
 * as a payload may. END is the end of the stream. */
mtype = { SIZE, REST, OK, CONFLICT, TOO_LARGE, PAYLOAD, END };

#define NOTHING 0 /* of a note or a debt; Go: wire.queue */
#define ANSWER  1
#define PAYMENT 2 /* a payload */

#define NO_OFFER   0 /* Go: wire.offer */
#define UNANSWERED 1
#define ACCEPTED   2

typedef Ledger {
	byte note0, note1;	/* what the peer owes us, oldest first (R3) */
	byte debt0, debt1;	/* what we owe the peer, oldest first (R2) */
	byte mine;		/* our offer: NO_OFFER, UNANSWERED or ACCEPTED */
	bit  defer;		/* R5: CONFLICT came, the payload behind it has not; Go: wire.Ledger.MayOffer */
	bit  spun;		/* as defer, but only to see that CONFLICTs don't spin */
	byte theirs;		/* the peer's offer, for whoever parses */
	byte theirSize, theirID;
	byte got;		/* pieces of its payload that have arrived */
	bit  receiving;		/* for whoever writes: OK is out, the payload is not in */
	bit  half		/* a size has begun */
};

Ledger L[2];

/* Situations for WITNESS: 1 to 4 are so many pending items. */
#define SAW_CONFLICT          5
#define SAW_MAKER_COMPLETES   6
#define SAW_SETTLER_COMPLETES 7
#define SAW_REFUSAL           8
#define SAW_COLLISION         9
#define SAW_HALF_SIZE         10
#define SAW_ROOM_BEHIND       11
#define SAW_CROSSED_ENDS      12
#define SAW_UNANSWERED_END    13
#define SAW_OWED_AT_END       14
#define SAW_READER_COMPLETES  15

inline note(e, what) {		/* R3. Go: wire.Ledger.Next, wire.Ledger.Offer */
	if
	:: L[e].note0 == NOTHING -> L[e].note0 = what
	:: else ->
		require(L[e].note1 == NOTHING, overrun);
		L[e].note1 = what
	fi
}

inline settleNote(e) {		/* R3. Go: wire.Ledger.parseAnswer, wire.Ledger.payload */
	L[e].note0 = L[e].note1;
	L[e].note1 = NOTHING
}

inline owe(e, what) {		/* R2. Go: wire.Ledger.Parse, wire.Ledger.parseAnswer */
	if
	:: L[e].debt0 == NOTHING -> L[e].debt0 = what
	:: else ->
		require(L[e].debt1 == NOTHING, overrun);
		L[e].debt1 = what
	fi
}

inline settleDebt(e) {		/* R2. Go: wire.Ledger.Next */
	L[e].debt0 = L[e].debt1;
	L[e].debt1 = NOTHING
}

/* completed forgets the peer's offer, whose payload has arrived. */
inline completed(e) {		/* R3. Go: wire.Ledger.payload */
	settleNote(e);
	L[e].theirs = NO_OFFER;
	L[e].theirSize = 0;
	L[e].got = 0
}

/* An empty payload is complete as soon as its note is the oldest. */
#define emptyIsDue(e) (L[e].note0 == PAYMENT && L[e].theirSize == EMPTY)

#if defined(DROP_R3_ORDER)	/* whoever accepted takes what comes for the payload */
#define payloadIsDue(e) (L[e].theirs == ACCEPTED)
#elif defined(DROP_R3_LOOK)	/* whoever awaits an answer takes for one what looks like one */
#define payloadIsDue(e) (L[e].note0 == PAYMENT && L[e].note1 != ANSWER)
#else
#define payloadIsDue(e) (L[e].note0 == PAYMENT)
#endif

/* R3: without a note, and with a size of the peer unanswered, nothing of the
 * peer can be parsed. The end of its stream can: nothing stands before it. */
#ifdef DROP_R3_EARLY		/* parses the payload of a peer that did not wait */
#define silent(e) false
#else
#define silent(e) (L[e].note0 == NOTHING && L[e].theirs == UNANSWERED)
#endif
#define mayParse(e) (len(wire[other]) > 0 && (!silent(e) || wire[other]?[END, _, _]))

/* parse takes k, of size s and, as only the model knows, of message i, for what
 * the notes and the look of it say. It leaves the item that it is, or NOTHING,
 * in item: what is to be done about it, the end does then. R3.
 * Go: wire.Ledger.Parse */
inline parse(e) {
	item = 0;
	look = k;
	if
	:: k == PAYLOAD || k == REST ->
		/* The choice of the look is made only where somebody looks. */
		if
		:: payloadIsDue(e) || L[e].half -> skip
		:: else ->
			if
			:: look = SIZE; s = EMPTY
			:: look = SIZE; s = FULL
			:: look = OK
			:: look = CONFLICT
			:: look = TOO_LARGE
			fi
		fi
	:: else
	fi;
	if
	:: payloadIsDue(e) ->
		require(k == PAYLOAD && i == L[e].theirID, misparse);
		L[e].got++;
		if
		:: L[e].got == PIECES -> completed(e); item = PAYLOAD
		:: else
		fi
	:: !payloadIsDue(e) && L[e].half ->
		require(k == REST && i == L[e].theirID, misparse);
		L[e].half = 0;
		L[e].theirSize = s;
		L[e].theirs = UNANSWERED;
		item = SIZE
	:: !payloadIsDue(e) && !L[e].half && look == SIZE ->
		require(k == SIZE, misparse);
		require(L[e].theirs == NO_OFFER, protocol);
		L[e].theirID = i;
#if SIZE_PIECES == 2
		L[e].half = 1;
		saw(SAW_HALF_SIZE)
#else
		L[e].theirSize = s;
		L[e].theirs = UNANSWERED;
		item = SIZE
#endif
	:: !payloadIsDue(e) && !L[e].half && look != SIZE ->
		require(k == look, misparse);
		require(L[e].note0 == ANSWER, protocol);
		/* R5: only who owes an accepted payload says CONFLICT. */
		require(look != CONFLICT || L[e].note1 == PAYMENT, protocol);
		settleNote(e);
		item = look
	fi
}

/* arrive: message i is complete. R5. Go: wire.Ledger.payload */
inline arrive(e, i) {
#ifndef DROP_R5_AGAIN
	L[e].defer = 0;
#endif
	L[e].spun = 0;
	L[e].receiving = 0;
	deliver(e, i)
}

/* take does what an item calls for: note a debt, or that there is one less.
 * i is the message that arrived, if it is a PAYLOAD. Go: conn.Conn.parse */
inline take(e, item, i) {
	if
	:: item == SIZE ->						/* R2. Go: wire.Ledger.Parse */
		saw((L[e].mine == UNANSWERED -> SAW_COLLISION : 0));
		owe(e, ANSWER)
	:: item == OK ->						/* R2. Go: wire.Ledger.parseAnswer */
		require(L[e].mine == UNANSWERED, protocol);
		L[e].mine = ACCEPTED;
#if defined(GO) && !defined(DROP_END_OWED)
		if
		:: size[e] == EMPTY ->					/* Go: conn.Conn.sent */
			paid[e] = 1;
			sent[e] = (sent[e] + 1) % MODULUS;
			result(e)
		:: else
		fi;
#endif
		owe(e, PAYMENT)
	:: item == CONFLICT ->						/* R5. Go: wire.Ledger.parseAnswer */
		saw(SAW_CONFLICT);
		require(L[e].mine == UNANSWERED, protocol);
		L[e].mine = NO_OFFER;
		require(!L[e].spun, spinning);
		L[e].spun = 1;
#ifndef DROP_R5_WAIT
		L[e].defer = 1;
#endif
#ifdef DROP_R5_KEEP
		forget(e)
#endif
	:: item == TOO_LARGE ->						/* Go: wire.Ledger.parseAnswer, conn.Conn.refused */
		saw(SAW_REFUSAL);
		require(L[e].mine == UNANSWERED && size[e] == HUGE, protocol);
		L[e].mine = NO_OFFER;
		forget(e)
	:: item == PAYLOAD -> arrive(e, i)				/* Go: conn.Conn.deliver */
	:: item == END -> peerEnds(e)					/* Go: conn.Conn.readFailed */
	fi
}
