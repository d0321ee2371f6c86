package transport_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestPace: a member who sends messages as fast as the line takes them is read at the pace at which members have something
// to say, and nothing of it is lost; another is heard meanwhile. In the twin all of it is read as it comes.
//
// Checks: TRA-25.
func TestPace(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { pace(t, protected) }) })
	}
}

func pace(t *testing.T, protected bool) {
	w := newWorld(t, transporttest.Options{Latency: time.Millisecond})
	victim := simNodeConfig(t, w, "victim", transport.Without(transport.Config{Key: testKey(1)}, transport.Unsafe{AnyPace: !protected}), transporttest.HostOptions{})
	bad := simNode(t, w, "bad", testKey(2), transporttest.HostOptions{})
	quiet := simNode(t, w, "quiet", testKey(3), transporttest.HostOptions{})
	befriend(victim, bad, quiet)
	for _, n := range []*node{bad, quiet} {
		n.connect(victim)
		n.waitUp(victim)
		victim.waitUp(n)
	}
	const all = 8000
	begun := time.Now()
	for sent := 0; sent < all; {
		if bad.Send(victim.Key(), []byte("x")) == nil {
			sent++
			continue
		}
		if time.Sleep(10 * time.Millisecond); time.Since(begun) > time.Minute {
			t.Fatalf("%d are sent", sent)
		}
	}
	if err := quiet.Send(victim.Key(), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	victim.wait("message beside a flood", 50*time.Millisecond, victim.got("hello"))
	victim.wait("every message", 20*time.Second, func() bool { return len(victim.messages) == all+1 })
	// 4,096 at once, and then 1,024 a second.
	if took := time.Since(begun); (took > 3*time.Second) != protected {
		t.Errorf("%d messages were read within %v", all, took)
	}
}
