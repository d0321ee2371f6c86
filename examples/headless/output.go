package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
)

// timeFormat is RFC 3339 with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// output writes events, one a line, as JSON or for people to read. It may be used by several goroutines.
type output struct {
	json bool
	now  func() time.Time

	mu sync.Mutex
	w  io.Writer
}

func newOutput(w io.Writer, asJSON bool) *output { return &output{json: asJSON, now: time.Now, w: w} }

// event writes one event: its name and data, a struct, for programs; the sentence for people.
func (o *output) event(name string, data any, format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var line []byte
	if o.json {
		line = jsonLine(o.now(), name, data)
	} else {
		line = []byte(o.now().Format("15:04:05 ") + visible(fmt.Sprintf(format, args...)) + "\n")
	}
	// Whoever reads us is gone if this fails; the meeting isn't.
	_, _ = o.w.Write(line)
}

// jsonLine puts time and name before the fields of data.
func jsonLine(at time.Time, name string, data any) []byte {
	head := marshal(struct {
		Time  string `json:"time"`
		Event string `json:"event"`
	}{at.Format(timeFormat), name})
	if data == nil {
		return append(head, '\n')
	}
	fields := marshal(data)
	if len(fields) > len("{}") {
		head[len(head)-1] = ','
		head = append(head, fields[1:]...)
	}
	return append(head, '\n')
}

// marshal leaves <, > and & as they are, for this is no HTML.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("headless: " + err.Error()) // the types of this package always can
	}
	return bytes.TrimSpace(b.Bytes())
}

// visible makes what others wrote harmless to a terminal: control characters could move the cursor or pretend to be
// another line, and bidirectional ones show text in another order.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return '\uFFFD'
		}
		return r
	}, s)
}
