/* What all models share: how they are configured, the properties, and what is
 * between the application of an end and its connection. */

#define other (1 - e)

#ifndef INBOX
#define INBOX 1		/* how many messages an Inbox holds; one more is held beyond it */
#endif
#ifndef MODULUS
#define MODULUS 4	/* messages are numbered modulo this */
#endif

/* The application of an end: it sends N_ messages and receives all that come,
 * each from a process of its own; or it is ALONE_, one process that sends N_
 * messages first and then one for each that it receives, up to LIMIT_. */
#ifndef N_A
#define N_A 1
#endif
#ifndef N_B
#define N_B 1
#endif
#ifndef ALONE_A
#define ALONE_A 0
#endif
#ifndef ALONE_B
#define ALONE_B 0
#endif
#ifndef LIMIT_A
#define LIMIT_A FOREVER
#endif
#ifndef LIMIT_B
#define LIMIT_B FOREVER
#endif
#define FOREVER 100
#define count(e) (e == 0 -> N_A : N_B)
#define alone(e) (e == 0 -> ALONE_A : ALONE_B)
#define limit(e) (e == 0 -> LIMIT_A : LIMIT_B)

/* Which ends call Shutdown, at any time. Without one, all is delivered. */
#ifndef END_A
#define END_A 0
#endif
#ifndef END_B
#define END_B 0
#endif
#define ends (END_A || END_B || QUITS_A || QUITS_B)
#define shuts(e) (e == 0 -> END_A : END_B)

/* Which ends have an application that stops receiving at any time, as one whose
 * Handler returns. That shuts its end down. */
#ifndef QUITS_A
#define QUITS_A 0
#endif
#ifndef QUITS_B
#define QUITS_B 0
#endif
#define quits(e) (e == 0 -> QUITS_A : QUITS_B)

/* Where an end may rest: without a Shutdown it is there that all ends. */
#if END_A || END_B || QUITS_A || QUITS_B
#define IDLE rest
#else
#define IDLE end
#endif

/* Sizes: EMPTY is 0, FULL is PIECES of payload, LARGE is more than a window may
 * hold (in pipelined mode), HUGE is over the peer's limit. */
#define EMPTY 0
#define FULL  1
#define LARGE 2
#define HUGE  3

/* Which properties there are. None of these is ever set: they give an
 * assertion that fails its name. */
hidden byte misparse;	/* an item was taken for something else */
hidden byte protocol;	/* a correct peer saw a violation, or an end inside an item */
hidden byte order;	/* messages were lost, doubled or swapped */
hidden byte spinning;	/* two CONFLICTs without a message in between */
hidden byte overrun;	/* more of something than there can be: notes, held messages, pending items */
hidden byte reset;	/* a stream ended before all of it was read */
hidden byte witness;	/* not a property: a situation that some run must come to */
#define require(condition, property) assert((condition) || property)

/* WITNESS is a situation that the run must come to. */
#ifdef WITNESS
#define saw(situation) assert(situation != WITNESS || witness)
#else
#define saw(situation) skip
#endif

chan outbox[2] = [1] of { byte, byte };		/* size, message; Go: conn.Conn.Outbox */
#if INBOX == 0			/* a message is put into it only when it is received at once */
chan inbox[2]  = [1] of { byte };
#else
chan inbox[2]  = [INBOX] of { byte };	/* Go: conn.Conn.Inbox */
#endif

#define OPEN     0 /* Go: conn.ending */
#define DRAINING 1
#define OVER     2

byte state[2];
bit  closed[2];		/* the Inbox is closed */
bit  wants[2];		/* the application is receiving */
bit  awaits[2];		/* it waits for its Send to return */
bit  finished[2];	/* it sends no more */
bit  gone[2];		/* it receives no more */
bit  quit[2];		/* though more may come */
byte handed[2];		/* how many messages it sent that are not too large, modulo MODULUS */
byte taken[2];		/* how many it received, modulo MODULUS */

#define result(e) awaits[e] = 0

inline stopTaking(e) {		/* Go: conn.Conn.stopTaking */
	if
	:: state[e] == OPEN -> state[e] = DRAINING
	:: else
	fi
}
