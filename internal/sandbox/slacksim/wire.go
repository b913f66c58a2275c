package slacksim

import (
	"net"
	"sync"
)

// watched is a listener whose connections can tell how frames were cut: a library
// that joins fragments says nothing of them.
type watched struct{ net.Listener }

func (w watched) Accept() (net.Conn, error) {
	conn, err := w.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // net/http looks at it
	}
	return &watchedConn{Conn: conn}, nil
}

// underneath is the connection that a watched one wraps.
func underneath(conn net.Conn) net.Conn {
	if w, is := conn.(*watchedConn); is {
		return w.Conn
	}
	return conn
}

// watchedConn follows the frames that a client sends, once watch was called.
type watchedConn struct {
	net.Conn
	mu        sync.Mutex
	on        bool
	header    []byte // of the frame that is arriving
	skip      uint64 // bytes of its payload that are still to come
	fragments int    // frames that were not the whole message
}

func (w *watchedConn) watch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = true
}

// fragmented reports whether fragments came since it was asked last.
func (w *watchedConn) fragmented() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	had := w.fragments > 0
	w.fragments = 0
	return had
}

func (w *watchedConn) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.on {
		w.follow(p[:n])
	}
	return n, err //nolint:wrapcheck // net/http and the WebSocket library look at it
}

func (w *watchedConn) follow(p []byte) {
	for len(p) > 0 {
		if w.skip > 0 {
			n := min(w.skip, uint64(len(p)))
			p, w.skip = p[n:], w.skip-n
			continue
		}
		w.header = append(w.header, p[0])
		p = p[1:]
		length, whole := frameHeader(w.header)
		if !whole {
			continue
		}
		const fin, opcode = 0x80, 0x0f
		if w.header[0]&opcode < 8 && (w.header[0]&fin == 0 || w.header[0]&opcode == 0) {
			w.fragments++
		}
		w.skip, w.header = length, w.header[:0]
	}
}

// frameHeader is the length of a frame's payload, once its header has arrived.
func frameHeader(h []byte) (length uint64, whole bool) {
	if len(h) < 2 {
		return 0, false
	}
	extra, mask := 0, 0
	if h[1]&0x80 != 0 {
		mask = 4
	}
	switch h[1] & 0x7f {
	case 126:
		extra = 2
	case 127:
		extra = 8
	default:
		length = uint64(h[1] & 0x7f)
	}
	if len(h) < 2+extra+mask {
		return 0, false
	}
	for _, b := range h[2 : 2+extra] {
		length = length<<8 | uint64(b)
	}
	return length, true
}
