package localport

import (
	"errors"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Close codes that the page understands.
const (
	// CloseSuperseded: another page has taken over.
	CloseSuperseded = 4001
	// CloseEnded: the agent has ended.
	CloseEnded = 4002
	// CloseUnknown: the session isn't known.
	CloseUnknown = 4003
	// closeRate: too many messages, or the page doesn't read.
	closeRate = websocket.ClosePolicyViolation
)

const (
	pingEvery    = 10 * time.Second
	pongWithin   = 30 * time.Second
	writeTimeout = 10 * time.Second
	maxQueued    = 1024 // messages
	maxQueuedMiB = 16
)

// ErrSlow says that a page didn't read what it was sent, and was let go.
var ErrSlow = errors.New("the page doesn't read")

// Socket is the connection with one page. Send and Close may be called from any goroutine, Receive from one.
type Socket struct {
	conn *websocket.Conn
	rate bucket
	over chan struct{} // closed when the writer has ended

	mu     sync.Mutex
	queue  [][]byte
	bytes  int
	code   int // with which to close, 0: open
	wakeup chan struct{}
}

func newSocket(c *websocket.Conn) *Socket {
	s := &Socket{conn: c, rate: newBucket(messagesPerSecond, messagesBurst), over: make(chan struct{}), wakeup: make(chan struct{}, 1)}
	c.SetReadLimit(MaxMessage)
	_ = c.SetReadDeadline(time.Now().Add(pongWithin))
	c.SetPongHandler(func(string) error { return c.SetReadDeadline(time.Now().Add(pongWithin)) })
	go s.write()
	return s
}

// Receive returns the next message. An error means that the socket is closed.
func (s *Socket) Receive() ([]byte, error) {
	kind, data, err := s.conn.ReadMessage()
	if err != nil {
		return nil, err
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(pongWithin))
	if kind != websocket.TextMessage || !s.rate.take(time.Now()) {
		s.Close(closeRate)
		return nil, errors.New("the page sends what it must not")
	}
	return data, nil
}

// Send queues a message, which must not be changed any more. It never waits; a page that doesn't read is let go.
func (s *Socket) Send(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.code != 0 {
		return
	}
	if len(s.queue) >= maxQueued || s.bytes+len(message) > maxQueuedMiB<<20 {
		s.code = closeRate
		s.queue = nil
	} else {
		s.queue = append(s.queue, message)
		s.bytes += len(message)
	}
	s.wake()
}

// Close closes the socket with a code, after what was queued before. It doesn't wait.
func (s *Socket) Close(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.code == 0 {
		s.code = code
		s.wake()
	}
}

func (s *Socket) wake() {
	select {
	case s.wakeup <- struct{}{}:
	default:
	}
}

// wait waits until the writer has ended.
func (s *Socket) wait() { <-s.over }

// take returns what is to be written, and the code if it is the end.
func (s *Socket) take() (messages [][]byte, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	messages, s.queue, s.bytes = s.queue, nil, 0
	return messages, s.code
}

// write is the one goroutine that writes.
func (s *Socket) write() {
	defer close(s.over)
	defer func() { _ = s.conn.Close() }() // ends Receive
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		select {
		case <-ping.C:
			if s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout)) != nil {
				s.Close(closeRate)
			}
		case <-s.wakeup:
		}
		messages, code := s.take()
		for _, m := range messages {
			_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
			if s.conn.WriteMessage(websocket.TextMessage, m) != nil {
				s.Close(closeRate)
				return
			}
		}
		if code != 0 {
			_ = s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(writeTimeout))
			return
		}
	}
}
