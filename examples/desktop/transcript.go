package main

// maxTranscript is how much of what was said in one meeting the history takes, in bytes as they are kept.
const maxTranscript = 2 << 20

// transcript is what was said in a meeting, for the history: all of it, or the newest that there is room for.
type transcript struct {
	messages []message
	bytes    int
	lost     int // the oldest, for which there was no room
}

func (t *transcript) add(m message) {
	t.messages = append(t.messages, m)
	t.bytes += len(encode(m))
	for t.bytes > maxTranscript {
		t.bytes -= len(encode(t.messages[0]))
		t.messages = t.messages[1:]
		t.lost++
	}
}
