/* Classic mode: sections 5 and 6 of wire/PROTOCOL.md. Two ends, each with a
 * reader, a writer and an application, over two streams of bytes.
 *
 * Macros choose the configuration; classic.runs has those that are checked. */

#ifndef WIRE
#define WIRE 1		/* how many pieces a stream holds */
#endif
#ifndef PIECES
#define PIECES 1	/* of a payload that is not empty */
#endif
#ifndef SIZE_PIECES
#define SIZE_PIECES 1	/* of a size; 2: it arrives in pieces */
#endif

chan out[2]    = [5] of { mtype, byte, byte };	/* Go: conn.batch */
chan wire[2]   = [WIRE] of { mtype, byte, byte };	/* of an end: what it wrote, unread */

#ifndef GO			/* from reader to writer */
chan parsed[2] = [5] of { byte, byte };
#endif

#include "parameters.pml"
#include "ledger.pml"
#include "writing.pml"
#include "ending.pml"
#include "connection.pml"

#define delivered(e) (finished[other] && taken[e] == handed[other] && drained(other))
#include "application.pml"

/* eager is an end that waits for no answer, as a legacy client that has taken the
 * hello for one, and neglects has it read what comes. */
proctype eager(bit e) {
	byte n, s;
	do
	:: n < count(e) ->
		atomic {
			if
			:: s = EMPTY
			:: s = FULL
			fi;
			handed[e] = (handed[e] + 1) % MODULUS
		}
		wire[e]!SIZE(s, n);
#if SIZE_PIECES == 2
		wire[e]!REST(s, n);
#endif
		if
		:: s == FULL -> wire[e]!PAYLOAD(0, n)
		:: else
		fi;
		atomic { n++; sent[e] = (sent[e] + 1) % MODULUS }
	:: else -> break
	od;
	finished[e] = 1
}

proctype neglects(bit e) {
	gone[e] = 1;
end:	do
	:: wire[other]?_, _, _
	od
}

#define settled(e) (L[e].note0 == NOTHING && L[e].debt0 == NOTHING && L[e].mine == NO_OFFER && \
	L[e].theirs == NO_OFFER && !L[e].receiving && !L[e].defer && !L[e].half)

init {
	atomic {
		run reader(0);
		run writer(0);
		application(0);
#ifdef EAGER
		run eager(1);
		run neglects(1)
#else
		run reader(1);
		run writer(1);
		application(1)
#endif
	}
	/* Whatever was written has arrived, and nothing else. */
	atomic {
		gone[0] && gone[1] && !awaits[0] && !awaits[1] && (!ends || closed[0] && closed[1]) ->
		require(taken[0] == sent[1] && taken[1] == sent[0], order);
		require(ends || settled(0) && settled(1), protocol)
	}
}
