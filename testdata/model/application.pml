/* The applications of both ends: what sends, receives, and shuts down.
 *
 * Whoever includes this defines delivered(e): all that the peer sent has been
 * received. */

/* When an application begins to receive that does so by itself. */
#ifndef mayReceive
#define mayReceive(e) true
#endif

/* hand gives the library a message of any size. Go: conn.Conn.Send */
inline hand(e) {
	if
	:: outbox[e]!EMPTY(handed[e]); handed[e] = (handed[e] + 1) % MODULUS
	:: outbox[e]!FULL(handed[e]); handed[e] = (handed[e] + 1) % MODULUS
#ifdef LARGE_TOO
	:: outbox[e]!LARGE(handed[e]); handed[e] = (handed[e] + 1) % MODULUS
#endif
#ifdef REFUSALS
	:: outbox[e]!HUGE(0)
#endif
	fi;
#ifdef SEND		/* waits until it is written; without, the Outbox has it */
	awaits[e] = 1
#endif
}

/* all has been delivered, or no more will come. */
#define done(e) (len(inbox[e]) == 0 && (closed[e] || !ends && delivered(e)))

/* What counts as progress: LIVELOCK 1: every message received; 2: those of B. */
#if LIVELOCK == 1
#define progresses(e) ; progress: skip
#elif LIVELOCK == 2
#define progresses(e) ; if :: e == 1 -> progress: skip :: else fi
#else
#define progresses(e)
#endif

/* receive takes a message: the next one, or something was lost on the way.
 * Go: conn.Conn.Receive */
inline receive(e) {
	inbox[e]?i;
	require(i == taken[e], order);
	taken[e] = (taken[e] + 1) % MODULUS;
	i = 0
}

proctype sender(bit e) {
	byte n;
	do
	:: atomic { n < count(e) && state[e] == OPEN && nfull(outbox[e]) && !awaits[e] -> hand(e); n = n + (count(e) != FOREVER) }
	:: atomic { (n == count(e) || state[e] != OPEN) && !awaits[e] -> break }
	od;
	finished[e] = 1
}

proctype receiver(bit e) {
	byte i;
	atomic { mayReceive(e) -> wants[e] = 1 };
	do
	:: atomic { mayReceive(e) && nempty(inbox[e]) -> receive(e) } progresses(e)
	:: atomic { done(e) -> break }
#if QUITS_A || QUITS_B
	:: atomic { quits(e) ->
		quit[e] = 1;
		wants[e] = 0;
		stopTaking(e);
		do
		:: nempty(inbox[e]) -> inbox[e]?_
		:: else -> break
		od;
		break
	   }
#endif
	od;
	gone[e] = 1
}

/* single sends and receives in turn. */
proctype single(bit e) {
	byte n, i;
	bit owes;
	do
	:: atomic { !owes && n < count(e) && state[e] == OPEN && nfull(outbox[e]) && !awaits[e] -> hand(e); n++ }
	:: atomic { !owes && (n >= count(e) || state[e] != OPEN) && !awaits[e] && !wants[e] -> wants[e] = 1 }
	:: atomic { wants[e] && nempty(inbox[e]) ->
		receive(e);
		wants[e] = 0;
		owes = (n < limit(e) && state[e] == OPEN)
	   } progresses(e)
	:: atomic { owes && state[e] == OPEN && nfull(outbox[e]) ->
		hand(e);
		n = n + (limit(e) != FOREVER);
		owes = 0
	   }
	:: atomic { owes && state[e] != OPEN -> owes = 0 }
	:: atomic { !finished[e] && wants[e] && (n >= limit(e) || finished[other] && done(e)) -> finished[e] = 1 }
	:: atomic { wants[e] && finished[e] && done(e) -> break }
	:: atomic { wants[e] && closed[e] && len(inbox[e]) == 0 -> break }
	od;
	finished[e] = 1;
	gone[e] = 1
}

/* shutdown begins the graceful end at any time. Go: conn.Conn.Shutdown */
proctype shutdown(bit e) {
	atomic { stopTaking(e) }
}

/* The processes of an application. */
inline application(e) {
	if
	:: alone(e) -> run single(e)
	:: else -> run sender(e); run receiver(e)
	fi;
	if
	:: shuts(e) -> run shutdown(e)
	:: else
	fi
}
