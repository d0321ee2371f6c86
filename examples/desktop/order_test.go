package main

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/gorilla/websocket"
)

// askAll sends requests without waiting in between, and returns the refusals when all are answered.
func (p *testPage) askAll(all ...map[string]any) (refused []code) {
	p.t.Helper()
	var replies []chan map[string]json.RawMessage
	var raw [][]byte
	p.mu.Lock()
	for _, m := range all {
		p.next++
		m["id"] = p.next
		c := make(chan map[string]json.RawMessage, 1)
		p.replies[p.next] = c
		replies, raw = append(replies, c), append(raw, encode(m))
	}
	p.mu.Unlock()
	for _, r := range raw {
		if err := p.socket.WriteMessage(websocket.TextMessage, r); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, c := range replies {
		var f failure
		_ = json.Unmarshal((<-c)["error"], &f)
		refused = append(refused, f.Code)
	}
	return refused
}

// TestOrder: of changes that follow each other closely the last one holds.
func TestOrder(t *testing.T) {
	t.Parallel()
	p := openPage(t, startAgent(t, nil))
	for i := range 50 {
		var all []map[string]any
		for k := range 4 {
			all = append(all, map[string]any{"do": "settings-set", "settings": settings{Name: strconv.Itoa(4*i + k), Language: "en", Theme: "dark"}})
		}
		p.askAll(all...)
		if got, want := get[settings](p, "settings").Name, strconv.Itoa(4*i+3); got != want {
			t.Fatalf("%s, the last was %s", got, want)
		}
	}
}

// TestAtOnce: what can be done once is done once, however often it is asked for at the same time.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	p := openPage(t, a)
	p.name("Ada")
	ask := func(do string) map[string]any { return map[string]any{"do": do} }
	count := func(codes []code) (n int) {
		for _, c := range codes {
			if c == "" {
				n++
			}
		}
		return n
	}
	if r := p.askAll(ask("create"), ask("create"), ask("alone"), ask("join")); count(r) > 1 {
		t.Error("several meetings:", r)
	}
	for range 5 { // given up, or left, at whatever moment
		p.askAll(ask("create"), ask("cancel"), ask("leave"), ask("create"))
		p.askAll(ask("cancel"), ask("leave"), ask("end"), ask("cancel"))
		p.until("an end", func() bool {
			n := part[phase](p, "phase").Name
			return n == "start" || n == "ended"
		})
		p.askAll(ask("done"), ask("done"), ask("leave"))
	}
	p.untilPhase("start")
	p.askAll(ask("alone"), ask("leave"), ask("cancel"), map[string]any{"do": "join", "link": "huisclos:x"})
	secret := map[string]any{"passphrase": testPassphrase}
	with := func(do string) map[string]any { return map[string]any{"do": do, "passphrase": secret["passphrase"]} }
	if r := p.askAll(with("store-create"), with("store-create"), with("store-create")); count(r) != 1 {
		t.Error("stores:", r)
	}
	p.askAll(map[string]any{"do": "store-history", "on": true, "retentionDays": 30}, ask("store-erase"), with("store-create"), ask("leave"), ask("backup"), ask("store-export"))
	p.askAll(ask("quit"), ask("create"), ask("alone"), ask("leave"))
	<-a.over
}
