/* The two processes of one end: R6 of wire/PROTOCOL.md section 5.
 *
 * GO is the way that package conn does it: reader and writer share the ledger
 * under a lock, and what may be written is composed at once. Without GO, the
 * reader hands items to the writer over a queue, and the writer does one thing
 * at a time, in any order that the rules allow (so R7 is not needed). */

/* A writer that has a choice may choose the same for ever, which Go's select
 * does not. Where that matters, it sees to the Inbox first. */
#if LIVELOCK == 2
#define mayGoOn(e) (!(holding[e] && room(e)))
#else
#define mayGoOn(e) true
#endif

#ifdef DROP_OFFER_BEHIND	/* writes nothing behind the OK to an empty message */
#define mayFollow(e) (!completes[e])
#else				/* only no payload */
#define mayFollow(e) true
#endif

#ifdef GO
#define emit(e, item, i) take(e, item, i)
#else
/* R6: at most four items are pending. Package conn has no queue: what its ledger
 * holds of the peer's items (its debts, the message that waits for the Inbox,
 * the end) is the same. */
inline emit(e, item, i) {
	parsed[e]!item, i;
	require(len(parsed[e]) <= 4, overrun);
	saw(len(parsed[e]))
}
#endif

#if defined(DROP_R6_WRITE)	/* the reader waits for the writes of its end */
#define readerReady(e) (empty(out[e]))
#elif defined(DROP_R6_INBOX)	/* the reader waits for room in the Inbox */
#define readerReady(e) (!holding[e])
#else
#define readerReady(e) true
#endif

/* The reader reads and parses. R6. Go: conn.Conn.read, conn.Conn.parse */
proctype reader(bit e) {
	mtype k, look;
	byte s, i, item;
IDLE:	do
	:: atomic { readerReady(e) && state[e] != OVER && (mayParse(e) || deaf(e) && len(wire[other]) > 0) ->
		wire[other]?k, s, i;
		if
		:: k == END ->
			left[e] = 1;
			item = END;
			emit(e, item, i)
		:: k != END && deaf(e) -> skip
		:: else ->
#ifdef GO			/* the peer has read the OK: it is complete, written or not */
			saw((emptyIsDue(e) -> SAW_READER_COMPLETES : 0));
			completeEmpty(e);
#endif
			parse(e);
			if
			:: item != 0 -> emit(e, item, i)
			:: else
			fi;
			if
#ifndef DROP_R3_SETTLER
			:: emptyIsDue(e) && lacks(e) ->	/* R3. Go: conn.Conn.parse, wire.Ledger.payload */
				saw(SAW_SETTLER_COMPLETES);
				completed(e);
				item = PAYLOAD;
				i = L[e].theirID;
				emit(e, item, i)
#endif
			:: else
			fi
		fi;
		k = 0; look = 0; s = 0; i = 0; item = 0
	   }
#ifndef EAGER
	/* R3: a correct peer is silent while nothing of it can be parsed. */
	:: atomic { silent(e) && len(wire[other]) > 0 && !(wire[other]?[END, _, _]) && !deaf(e) ->
		require(false, protocol) }
#endif
	:: atomic { left[e] || state[e] == OVER -> left[e] = 1; break }
	od
}

/* The writer does all that may wait for the transport or the application. Go:
 * conn.Conn.write, conn.Conn.flush */
proctype writer(bit e) {
	mtype k;
	byte s, i, item;
IDLE:	do
	:: atomic { nempty(out[e]) && nfull(wire[e]) ->		/* Go: conn.Conn.writeWaiting */
		out[e]?k, s, i;
		require(state[other] != OVER, reset);
		wire[e]!k, s, i;
#ifndef GO
		if
		:: len(out[e]) == 0 -> written(e)
		:: else
		fi;
#endif
#ifdef DROP_R3_BEFORE		/* notes what it asked for when it has written it */
	   }
	   atomic {
		if
		:: k == SIZE -> note(e, ANSWER)
		:: else
		fi;
#endif
		k = 0; s = 0; i = 0
	   }
#ifdef GO			/* what it wrote may have been read by then */
	:: atomic { writing[e] && empty(out[e]) -> written(e) }
#endif
	:: atomic { idle(e) && holding[e] && room(e) ->	/* Go: conn.Conn.write */
		inbox[e]!held[e];
		holding[e] = 0;
		held[e] = 0
	   }
#ifdef GO
	:: atomic { idle(e) && !ended[e] && mayGoOn(e) &&	/* R7. Go: conn.Conn.compose */
		    (mayPay(e) || mayOffer(e) && (busy[e] || mayFetch(e))) ->
		do
		:: mayPay(e) && !completes[e] -> pay(e)
		:: else -> break
		od;
		if
		:: mayFetch(e) && mayOffer(e) && mayFollow(e) -> fetch(e)
		:: else
		fi;
		if
		:: busy[e] && mayOffer(e) && mayFollow(e) -> offer(e)
		:: else
		fi;
		writing[e] = (len(out[e]) > 0)
	   }
#else
	:: atomic { empty(out[e]) && nempty(parsed[e]) -> parsed[e]?item, i; take(e, item, i); item = 0; i = 0 }
	:: atomic { empty(out[e]) && !ended[e] && mayGoOn(e) && mayPay(e) ->
		pay(e);
		if
		:: len(out[e]) == 0 -> written(e)
		:: else
		fi
	   }
	:: atomic { empty(out[e]) && !ended[e] && mayFetch(e) -> fetch(e) }
	:: atomic { empty(out[e]) && !ended[e] && busy[e] && mayOffer(e) -> offer(e) }
#endif
	:: atomic { idle(e) && mayEnd(e) ->		/* Go: conn.Conn.halfClose */
		ended[e] = 1;
		writes(e, END)
	   }
	:: atomic { idle(e) && mayClose(e) -> close(e) }	/* Go: conn.Conn.served, conn.Conn.terminate */
	:: atomic { idle(e) && state[e] == OVER && !holding[e] && left[e] ->	/* Go: conn.Conn.finish */
		closed[e] = 1;
		break
	   }
	od
}
