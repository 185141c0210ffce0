/* Pipelined mode: section 8 of wire/PROTOCOL.md. Two ends, each with a reader, a
 * writer and an application, over two streams of bytes.
 *
 * Macros choose the configuration; pipelined.runs has those that are searched. A
 * DROP_ macro breaks a rule: each has to be found out.
 *
 * GO is the way that package conn does it: one write takes all answers that are
 * due, and all messages that the window has room for; a message goes straight
 * into an Inbox with room. Without, the writer does one thing at a time, in any
 * order. */

#ifndef WIRE
#define WIRE 1		/* how many pieces a stream holds */
#endif
#ifndef PINGS
#define PINGS 0		/* how many PINGs each end sends */
#endif

/* What an end grants: WINDOW_ messages and BYTES_ of payload, in units of the size
 * FULL. BYTES_ 0 means one message at a time. */
#ifndef WINDOW_A
#define WINDOW_A 2
#endif
#ifndef WINDOW_B
#define WINDOW_B 2
#endif
#ifndef BYTES_A
#define BYTES_A 2
#endif
#ifndef BYTES_B
#define BYTES_B 2
#endif
#define bytes(e) (e == 0 -> BYTES_A : BYTES_B)
#define window(e) (bytes(e) == 0 -> 1 : (e == 0 -> WINDOW_A : WINDOW_B))

/* What an end writes, in pieces that arrive whole. SIZE and as many PAYLOAD as
 * it says are DATA; END is the end of the stream. REQUEST, PARAMETERS and ERROR
 * are how the ends agree on this mode, or don't. */
mtype = { SIZE, PAYLOAD, OK, TOO_LARGE, PING, PONG, BYE, END, REQUEST, PARAMETERS, ERROR };

#include "parameters.pml"

hidden byte handover;	/* OK for a message that the application has not been handed */

#define SAW_WINDOW_FULL     1
#define SAW_LARGE_ALONE     2
#define SAW_REFUSAL         3
#define SAW_MANY_ANSWERS    4
#define SAW_REPLY_BEHIND    5	/* DATA of an end whose peer has said BYE */
#define SAW_CROSSED_BYES    6
#define SAW_VOID_OFFER      7
#define SAW_PONG            8
#define SAW_MANY_MESSAGES   9	/* in one write */
#define SAW_UNSENT          10
#define SAW_REFUSED_MODE    11
#define SAW_SILENCE         12	/* of a legacy server that spoke first */
#define SAW_GRACE           13	/* a time that is over, as nothing else would come */
#define SAW_NOTHING_MISSING 14	/* the stream of a peer that takes no more ended, */
#define SAW_UNANSWERED_END  15	/* without and with messages that it left unanswered */

typedef Sender {		/* Go: wire.Pipeline */
	byte count, units;	/* messages and payload without an answer */
	bit  saidBye, pinged
};

typedef Receiver {		/* Go: wire.Pipeline */
	byte count, units;	/* messages and payload whose answer is not counted as given */
	byte size, id, rest;	/* of the DATA that is arriving; rest is in pieces */
	byte kept;		/* payload in memory */
	bit  saidBye, pinged	/* the peer */
};

Sender S[2];
Receiver R[2];

#ifdef GO
#define WRITE 12
#else
#define WRITE 6
#endif
#ifndef MOST
#define MOST 3		/* messages without an answer, whatever a mutant does: 5 */
#endif

chan wire[2]    = [WIRE] of { mtype, byte, byte };	/* of an end: what it wrote, unread */
chan out[2]     = [WRITE] of { mtype, byte, byte };	/* what it is writing */
chan asked[2]   = [MOST] of { byte, byte };	/* size and message: sent, not answered */
chan arrived[2] = [MOST] of { byte, byte };	/* size and message, not handed over */
chan answers[2] = [MOST] of { mtype, byte };	/* and the size that it is about: not written */

byte size[2], id[2];	/* the message in hand: taken from the Outbox, not yet written */
bit  busy[2];		/* there is one */
bit  ended[2];		/* our end of stream is written, or in out */
bit  peerEnded[2];
bit  broken[2];		/* it ended before all was said: nothing more is written, but the end */
byte pings[2];		/* PINGs that were sent */
byte pongs[2];		/* PONGs that were read */
bit  refused;		/* the ends did not agree on this mode */

byte put[2];		/* how many messages the application was handed, modulo MODULUS */
byte lead[2];		/* how many of them whose OK has not been read */

#define drained(e) (!busy[e] && len(outbox[e]) == 0)

#if INBOX == 0
#define room(e) (wants[e] && len(inbox[e]) == 0)
#else
#define room(e) (len(inbox[e]) < INBOX)
#endif

#ifdef SLOW		/* B receives nothing before all PINGs of A are answered */
#define mayReceive(e) (e == 0 || pongs[0] == PINGS)
#endif

#include "credits.pml"
#include "bye.pml"
#include "agreement.pml"

#define delivered(e) (finished[other] && taken[e] == handed[other] && drained(other) && S[other].count == 0)
#include "application.pml"

/* follows ends an end whose peer has said BYE, at any time after its application
 * has taken all: there is some time for replies. Go: conn.Conn.closeInbox */
proctype follows(bit e) {
	atomic { gone[e] && closed[e] -> stopTaking(e) }
}

init {
	atomic {
#ifdef AGREE
		run dials(0);
		run agrees(1);
#else
		run reader(0); run writer(0);
		run reader(1); run writer(1);
#endif
		application(0);
		application(1);
		if
		:: ends -> run follows(0); run follows(1)
		:: else
		fi
	}
	/* All that was handed to an end has arrived, if nobody stopped receiving. */
	atomic {
		gone[0] && gone[1] && !awaits[0] && !awaits[1] && finished[0] && finished[1] &&
		(state[0] == OVER && state[1] == OVER || !ends && pongs[0] == PINGS && pongs[1] == PINGS) ->
		require(refused || QUITS_A || QUITS_B ||
			taken[0] == handed[1] && taken[1] == handed[0] && S[0].count == 0 && S[1].count == 0, order)
	}
}
