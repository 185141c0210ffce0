/* How the ends agree on pipelined mode, or don't. */

/* gives up on this mode: a dialer may dial again in classic mode, and none of its
 * messages was sent. */
inline gives(e) {
	state[e] = OVER;
	closed[e] = 1;
	refused = 1;
	do
	:: len(outbox[e]) > 0 -> outbox[e]?_, _
	:: else -> break
	od;
	result(e)
}

/* dials asks for this mode. A classic offer of the peer can be on its way.
 * Go: conn.Conn.ask */
proctype dials(bit e) {
	mtype k;
	wire[e]!REQUEST(0, 0);
	wire[other]?k, _, _;
#ifndef DROP_SKIP_OFFER
	if
	:: k == SIZE ->
		saw(SAW_VOID_OFFER);
		if
		:: wire[other]?k, _, _
#ifndef DROP_SILENCE		/* waits for more, for ever */
		:: atomic { timeout -> saw(SAW_SILENCE); k = ERROR }
#endif
		fi
	:: else
	fi;
#endif
	if
	:: atomic { k == ERROR || k == END -> saw(SAW_REFUSED_MODE); gives(e) }
	:: else ->
		require(k == OK, misparse);
		wire[other]?k, _, _;
		require(k == PARAMETERS, misparse);
		wire[e]!PARAMETERS(0, 0);
		atomic { run reader(e); run writer(e) }
	fi
}

/* agrees grants it, also when it has offered a message: that is sent again. With
 * REFUSE it may refuse, as a server of ours, or as a legacy server that takes
 * REQUEST for the answer to its offer. Go: conn.Conn.asks, conn.Conn.agree */
proctype agrees(bit e) {
	mtype k;
	if
	:: atomic { nempty(outbox[e]) -> outbox[e]?size[e], id[e]; busy[e] = 1 };
		wire[e]!SIZE(size[e], id[e])
	:: wire[other]?[REQUEST, _, _] -> skip
	fi;
#ifdef DROP_VOID		/* takes its offer for made */
	busy[e] = 0;
#endif
	wire[other]?k, _, _;
	require(k == REQUEST, misparse);
	if
#ifdef REFUSE
	:: if
	   :: !busy[e] -> wire[e]!ERROR(0, 0)
	   :: busy[e] -> wire[e]!END(0, 0)
	   :: busy[e] -> skip		/* a legacy server */
	   fi;
	   atomic { gives(e) }
#endif
	:: wire[e]!OK(0, 0);
		wire[e]!PARAMETERS(0, 0);
		wire[other]?k, _, _;
		require(k == PARAMETERS, misparse);
		atomic { run reader(e); run writer(e) }
	fi
}
