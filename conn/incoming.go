package conn

// Memory for a message that arrives: up to firstAlloc at once; beyond that it
// grows by growth with what has arrived, never with what was claimed.
const (
	firstAlloc = 64 << 10
	growth     = 4

	// Up to smallMessage, a message is read with room for what may follow it in
	// the same segment, which saves a read for the next size.
	smallMessage = 4 << 10
)

// incoming is a message whose payload is arriving. The reader reads into
// space, so it copies nothing but what came in one read with an answer.
type incoming struct {
	buf  []byte
	have int
	size int
}

func (in *incoming) start(size uint32) {
	in.size, in.have = int(size), 0
	switch {
	case in.size == 0:
		in.buf = []byte{}
	case in.size <= smallMessage:
		in.buf = make([]byte, in.size+keptSize)
	default:
		in.buf = make([]byte, min(in.size, firstAlloc))
	}
}

// space returns where the next bytes of the stream belong: never empty while
// the message is incomplete.
func (in *incoming) space() []byte {
	if in.have == len(in.buf) && in.have < in.size {
		grown := make([]byte, min(in.size, len(in.buf)*growth))
		copy(grown, in.buf)
		in.buf = grown
	}
	return in.buf[in.have:]
}

// add takes payload bytes, which may be those at space already.
func (in *incoming) add(p []byte) {
	for len(p) > 0 {
		space := in.space()
		n := len(p)
		if &space[0] != &p[0] {
			n = copy(space, p)
		}
		in.have += n
		p = p[n:]
	}
}

// message returns the complete message and forgets it.
func (in *incoming) message() []byte {
	m := in.buf[:in.size:in.size]
	*in = incoming{}
	return m
}
