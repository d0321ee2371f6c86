package main

import (
	"encoding/json"
	"testing"
	"time"
)

// compares has the person compare words with one member, and find them the same.
func (p *testPage) compares(id string) {
	p.t.Helper()
	v := p.wordsOf("verify", map[string]any{"member": id})
	p.must("verified", map[string]any{"member": id, "match": true, "digits": v.Digits})
}

// wordsOf asks for words until they can be had.
func (p *testPage) wordsOf(do string, fields map[string]any) (w words) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		got, refused := p.ask(do, fields)
		switch {
		case refused == "":
			if err := json.Unmarshal(got["words"], &w); err != nil {
				p.t.Fatal(err)
			}
			return w
		case refused != notAgreed || time.Now().After(end):
			p.t.Fatalf("%s: %s", do, refused)
		}
	}
}

// TestWordsOfOthers: whoever comes in while words are being read is not marked as verified by what was said of those.
func TestWordsOfOthers(t *testing.T) { // alone: it computes words, which takes all there is of the machine
	host, _ := meetTwo(t, nil)
	all := func(digits string) map[string]any {
		return map[string]any{"member": "", "match": true, "digits": digits}
	}
	if _, refused := host.ask("verified", all("")); refused != wordsChanged {
		t.Errorf("words that nobody was shown: %q", refused)
	}
	read := host.wordsOf("words", nil)

	eve := openPage(t, startAgent(t, nil))
	eve.name("Eve")
	eve.must("join", map[string]any{"link": get[*invitation](host, "invite").Link})
	host.until("knock", func() bool { return len(part[[]knock](host, "knocks")) == 1 })
	host.must("admit", map[string]any{"member": get[[]knock](host, "knocks")[0].ID})
	host.until("Eve", func() bool { return len(part[[]member](host, "members")) == 3 })
	if w := get[*words](host, "words"); w != nil {
		t.Errorf("with Eve in, the words of those before her are shown: %+v", w)
	}
	if _, refused := host.ask("verified", all(read.Digits)); refused != wordsChanged {
		t.Errorf("no words are shown: %q", refused)
	}
	next := host.wordsOf("words", nil)
	if next.Digits == read.Digits {
		t.Fatal("the words don't depend on who is in")
	}
	if _, refused := host.ask("verified", all(read.Digits)); refused != wordsChanged {
		t.Errorf("other words are shown: %q", refused)
	}
	if ada, eve := named(host, "Ada"), named(host, "Eve"); ada.Verified || eve.Verified {
		t.Errorf("verified by words that were of others: %+v, %+v", ada, eve)
	}

	// Alone with one: neither without a comparison, nor by the words of one that was begun anew meanwhile.
	id := named(host, "Eve").ID
	one := func(digits string) map[string]any {
		return map[string]any{"member": id, "match": true, "digits": digits}
	}
	if _, refused := host.ask("verified", one("")); refused != wordsChanged {
		t.Errorf("no comparison: %q", refused)
	}
	first := host.wordsOf("verify", map[string]any{"member": id})
	self := get[*meeting](host, "meeting").Self
	second := eve.wordsOf("verify", map[string]any{"member": self})
	host.until("her comparison", func() bool {
		v := part[[]verification](host, "verifications")
		return len(v) == 1 && v[0].Asked && v[0].Words.Digits == second.Digits
	})
	if _, refused := host.ask("verified", one(first.Digits)); refused != wordsChanged || named(host, "Eve").Verified {
		t.Errorf("the words of an earlier comparison: %q", refused)
	}
	host.must("verified", one(second.Digits))
	host.until("Eve verified", func() bool {
		for _, m := range part[[]member](host, "members") {
			if m.ID == id {
				return m.Verified
			}
		}
		return false
	})
	host.must("verified", all(next.Digits))
	host.until("all verified", func() bool {
		n := 0
		for _, m := range part[[]member](host, "members") {
			if m.Verified {
				n++
			}
		}
		return n == 2
	})
}
